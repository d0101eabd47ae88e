# Services, users, directories and the default configuration; the source
# tarball and the packages.

unitdir = $(prefix)/lib/systemd/system
# Which units are enabled is the distribution's to say: nothing, unless it asks.
presetdir =
sysusersdir = $(prefix)/lib/sysusers.d
defaultsdir = $(datadir)/defaults/telemetrics

units = $(notdir $(wildcard packaging/systemd/*))
# NAME:UNIT. Scripts and units of others know the two daemons of the C project.
unit_aliases = telemprobd.socket:telemd.socket telemprobd.service:telemd.service \
	telempostd.path:telemd.path telempostd.service:telemd.service \
	telemprobd-update-trigger.service:telemd-update-trigger.service
alias_names = $(foreach alias,$(unit_aliases),$(firstword $(subst :, ,$(alias))))
service_files = $(addprefix $(unitdir)/,$(units) $(alias_names)) $(presetdir:%=%/90-telemetrics.preset) \
	$(sysusersdir)/telemetrics.conf $(tmpfilesdir)/telemetrics-dirs.conf $(defaultsdir)/telemetrics.conf

.PHONY: install-services uninstall-services dist deb rpm

install-services: built
	$(INSTALL) -d $(foreach directory,$(unitdir) $(presetdir) $(sysusersdir) $(tmpfilesdir) $(defaultsdir),'$(DESTDIR)$(directory)')
	$(call install_with_paths,$(addprefix packaging/systemd/,$(units)),$(unitdir))
	for alias in $(unit_aliases); do ln -sf "$${alias#*:}" '$(DESTDIR)$(unitdir)/'"$${alias%:*}" || exit; done
	$(if $(presetdir),$(INSTALL) -m 644 packaging/preset/90-telemetrics.preset '$(DESTDIR)$(presetdir)/90-telemetrics.preset')
	$(INSTALL) -m 644 packaging/sysusers.d/telemetrics.conf '$(DESTDIR)$(sysusersdir)/telemetrics.conf'
	$(call install_with_paths,packaging/tmpfiles.d/telemetrics-dirs.conf,$(tmpfilesdir))
	$(call install_with_paths,packaging/telemetrics.conf,$(defaultsdir))

uninstall-services:
	rm -f $(foreach file,$(service_files),'$(DESTDIR)$(file)')
	[ ! -d '$(DESTDIR)$(defaultsdir)' ] || rmdir -p --ignore-fail-on-non-empty '$(DESTDIR)$(defaultsdir)'

# The tarball and the packages.
packages = $(BUILD)/packages

# The C project's server, which is the default, is nobody's whom one knows here.
warn_of_server = case '$(server)' in *//clr.telemetry.intel.com/*) \
	echo 'WARNING: no server= was given: the packages send to $(server), which nobody here controls.' >&2;; esac

dist:
	@CARGO='$(CARGO)' CARGOFLAGS='$(CARGOFLAGS)' packaging/dist '$(version)' '$(packages)'

deb: dist
	@$(warn_of_server)
	@SERVER='$(server)' packaging/build-deb '$(version)' '$(packages)'

rpm: dist
	@$(warn_of_server)
	@SERVER='$(server)' packaging/build-rpm '$(version)' '$(packages)'
