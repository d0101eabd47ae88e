# Builds, tests and installs telemetry. See README.md and CONTRIBUTING.md.

prefix = /usr/local
exec_prefix = $(prefix)
bindir = $(exec_prefix)/bin
libdir = $(exec_prefix)/lib
includedir = $(prefix)/include
datarootdir = $(prefix)/share
datadir = $(datarootdir)
mandir = $(datarootdir)/man
bash_completions = $(datarootdir)/bash-completion/completions
zsh_completions = $(datarootdir)/zsh/site-functions
fish_completions = $(datarootdir)/fish/vendor_completions.d
sysconfdir = /etc
localstatedir = /var
socketdir = /run
tmpfilesdir = $(prefix)/lib/tmpfiles.d
# What the configuration file shows as default of the key `server`.
server = https://clr.telemetry.intel.com/v3/collector

DESTDIR =
CARGO = cargo
CARGOFLAGS = --locked
INSTALL = install
OBJCOPY = objcopy
AR = ar
# How the shared library is linked: `cargo` needs LLD, `cc` takes any linker
# and honours CC, CFLAGS and LDFLAGS. To programs both are the same.
LINK = cargo
BUILD = target
comma := ,

version := $(shell sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"/\1/p' Cargo.toml)
# The ABI is that of libtelemetry.so.4.0.1 of the C project, and compatible.
soname = libtelemetry.so.4
realname = libtelemetry.so.4.1.0
functions = tm_set_config_file tm_create_record tm_set_payload tm_set_event_id \
	tm_send_record tm_free_record tm_is_opted_in
man3 = telemetry.3 tm_create_record.3 tm_set_payload.3 tm_set_event_id.3 \
	tm_send_record.3 tm_free_record.3 tm_set_config_file.3 tm_is_opted_in.3

# Where sources are while they are compiled stays out of what is built. Flags
# are separated by the byte 0x1F, so that the directories may have blanks.
cargo_home = $(or $(CARGO_HOME),$(HOME)/.cargo)
blank := $(subst ,, )
separator := $(shell printf '\037')
without_build_paths = CC_SHELL_ESCAPED_FLAGS=1 \
	CFLAGS="$(CFLAGS) '-ffile-prefix-map=$(CURDIR)=.' '-ffile-prefix-map=$(cargo_home)=/cargo'" \
	CARGO_ENCODED_RUSTFLAGS='$(subst $(blank),$(separator),$(strip $(RUSTFLAGS)))$(if $(RUSTFLAGS),$(separator))$(\
	)--remap-path-prefix=$(CURDIR)=.$(separator)--remap-path-prefix=$(cargo_home)=/cargo'

release = $(BUILD)/$(if $(CARGO_BUILD_TARGET),$(CARGO_BUILD_TARGET)/)release
# The directories are built in; no variable of the environment moves them later.
cargo = TELEMETRY_SYSCONFDIR='$(sysconfdir)' TELEMETRY_LOCALSTATEDIR='$(localstatedir)' \
	TELEMETRY_DATADIR='$(datadir)' TELEMETRY_SOCKETDIR='$(socketdir)' TELEMETRY_SERVER='$(server)' \
	TELEMETRY_TMPFILESDIR='$(tmpfilesdir)' \
	CARGO_TARGET_DIR='$(BUILD)' $(without_build_paths) $(CARGO)
# What an installation depends on: `make install` builds again only if these
# are others than `make` had.
built_with = LINK=$(LINK) sysconfdir=$(sysconfdir) localstatedir=$(localstatedir) datadir=$(datadir) \
	socketdir=$(socketdir) tmpfilesdir=$(tmpfilesdir) server=$(server) version=$(version)
# Manual pages, units and the like name the installed paths. The service manager
# makes the directory of the status file below /run, and wants its name without
# that.
with_paths = sed -e 's|/usr/share/defaults|$(datadir)/defaults|g' -e 's|/etc/telemetrics|$(sysconfdir)/telemetrics|g' \
	-e 's|/var/\(spool\|lib\|log\|cache\)/|$(localstatedir)/\1/|g' -e 's|/run/telem|$(socketdir)/telem|g' \
	-e 's|/usr/lib/tmpfiles.d|$(tmpfilesdir)|g' -e 's|/usr/bin/|$(bindir)/|g' \
	-e 's|^RuntimeDirectory=telemetry$$|RuntimeDirectory=$(patsubst /run/%,%,$(socketdir)/telemetry)|' \
	-e 's|https://clr.telemetry.intel.com/v3/collector|$(server)|g'
# Installs files with the paths of this installation: FILES, DIRECTORY.
install_with_paths = for file in $(1); do \
		$(INSTALL) -m 644 /dev/null '$(DESTDIR)$(2)/'"$${file\#\#*/}" && \
		$(with_paths) "$$file" > '$(DESTDIR)$(2)/'"$${file\#\#*/}" || exit; \
	done
export CC CFLAGS LDFLAGS OBJCOPY AR

# Programs of people and scripts, and those that find something to report.
tools = telem-record-gen telemctl
probes = hprobe

.PHONY: all deps library telemd programs built generate check check-long fuzz bench demo \
	install install-library install-telemd install-tools install-probes uninstall clean stage

all: library telemd programs
	@echo '$(built_with)' > '$(release)/built-with'

built:
	@if [ "$$(cat '$(release)/built-with' 2>/dev/null)" != '$(built_with)' ]; then $(MAKE) all; fi

# Debian packages that building and testing need; the README's commands call it.
deps:
	@LINK='$(LINK)' ci/deps

# Cargo decides what has to be built again. For LINK=cc it makes no shared
# object, which needs LLD.
library:
	$(cargo) rustc --release $(CARGOFLAGS) -p libtelemetry-cdylib \
		--crate-type $(if $(filter cc,$(LINK)),staticlib,cdylib$(comma)staticlib)
	@ci/link-library '$(LINK)' '$(release)' '$(soname)' $(functions)

telemd:
	$(cargo) build --release $(CARGOFLAGS) -p telemd

# They share the library that is installed with them.
programs: library
	TELEMETRY_LIBDIR="$$(cd '$(release)/linked' && pwd)" \
		$(cargo) build --release $(CARGOFLAGS) $(addprefix -p ,$(tools) $(probes))

# The committed files that are made from the code.
generate:
	$(CARGO) run -q $(CARGOFLAGS) -p generate

install: install-library install-telemd install-tools install-probes install-services

install-library: built
	$(INSTALL) -d '$(DESTDIR)$(libdir)/pkgconfig' '$(DESTDIR)$(includedir)' '$(DESTDIR)$(mandir)/man3'
	$(INSTALL) -m 755 '$(release)/linked/$(soname)' '$(DESTDIR)$(libdir)/$(realname)'
	ln -sf '$(realname)' '$(DESTDIR)$(libdir)/$(soname)'
	ln -sf '$(realname)' '$(DESTDIR)$(libdir)/libtelemetry.so'
	$(INSTALL) -m 644 '$(release)/linked/libtelemetry.a' '$(DESTDIR)$(libdir)/libtelemetry.a'
	$(INSTALL) -m 644 include/telemetry.h '$(DESTDIR)$(includedir)/telemetry.h'
	$(INSTALL) -m 644 /dev/null '$(DESTDIR)$(libdir)/pkgconfig/libtelemetry.pc'
	sed -e 's|@prefix@|$(prefix)|' -e 's|@exec_prefix@|$(exec_prefix:$(prefix)%=$${prefix}%)|' \
		-e 's|@libdir@|$(libdir)|' -e 's|@includedir@|$(includedir:$(prefix)%=$${prefix}%)|' \
		-e 's|@version@|$(version)|' pkgconfig/libtelemetry.pc.in > '$(DESTDIR)$(libdir)/pkgconfig/libtelemetry.pc'
	$(call install_with_paths,$(addprefix man3/,$(man3)),$(mandir)/man3)

install-telemd: built
	$(INSTALL) -d '$(DESTDIR)$(bindir)' '$(DESTDIR)$(mandir)/man5' '$(DESTDIR)$(mandir)/man8'
	$(INSTALL) -m 755 '$(release)/telemd' '$(DESTDIR)$(bindir)/telemd'
	$(call install_with_paths,man5/telemetrics.conf.5,$(mandir)/man5)
	$(call install_with_paths,man8/telemd.8,$(mandir)/man8)

install-tools: built
	$(call install_programs,$(tools))
	# The journal's reader is the same program under its old name.
	ln -sf telemctl '$(DESTDIR)$(bindir)/telem_journal'
	$(call install_pages,telem_journal)

install-probes: built
	$(call install_programs,$(probes))

# Each with what is read about it.
define install_programs
	$(INSTALL) -d '$(DESTDIR)$(bindir)'
	for program in $(1); do \
		$(INSTALL) -m 755 "$(release)/$$program" '$(DESTDIR)$(bindir)/'"$$program" || exit; \
	done
	$(call install_pages,$(1))
endef

# Manual pages and shell completions.
define install_pages
	$(INSTALL) -d '$(DESTDIR)$(mandir)/man1' '$(DESTDIR)$(bash_completions)' '$(DESTDIR)$(zsh_completions)' \
		'$(DESTDIR)$(fish_completions)'
	$(call install_with_paths,$(foreach program,$(1),man1/$(program).1),$(mandir)/man1)
	for program in $(1); do \
		$(INSTALL) -m 644 "completions/bash/$$program" '$(DESTDIR)$(bash_completions)/'"$$program" && \
		$(INSTALL) -m 644 "completions/zsh/_$$program" '$(DESTDIR)$(zsh_completions)/'"_$$program" && \
		$(INSTALL) -m 644 "completions/fish/$$program.fish" '$(DESTDIR)$(fish_completions)/'"$$program.fish" || exit; \
	done
endef

uninstall: uninstall-services
	rm -f $(foreach name,$(realname) $(soname) libtelemetry.so libtelemetry.a pkgconfig/libtelemetry.pc,'$(DESTDIR)$(libdir)/$(name)') \
		'$(DESTDIR)$(includedir)/telemetry.h' $(foreach page,$(man3),'$(DESTDIR)$(mandir)/man3/$(page)') \
		'$(DESTDIR)$(bindir)/telemd' '$(DESTDIR)$(mandir)/man5/telemetrics.conf.5' '$(DESTDIR)$(mandir)/man8/telemd.8' \
		$(foreach program,$(tools) telem_journal $(probes),'$(DESTDIR)$(bindir)/$(program)' \
		'$(DESTDIR)$(mandir)/man1/$(program).1' '$(DESTDIR)$(bash_completions)/$(program)' \
		'$(DESTDIR)$(zsh_completions)/_$(program)' '$(DESTDIR)$(fish_completions)/$(program).fish')

# A whole run in the build folder: a program, telemd, a collector.
demo:
	@LINK='$(LINK)' ci/deps build
	@CARGO='$(CARGO)' CARGOFLAGS='$(CARGOFLAGS)' LINK='$(LINK)' ci/demo

# An installation for tests, in the build folder.
stage:
	@$(MAKE) -s all prefix=/usr/local
	@rm -rf '$(BUILD)/stage'
	@$(MAKE) -s install DESTDIR='$(BUILD)/stage' prefix=/usr/local

check: deps
	@ci/check

check-long:
	@LINK='$(LINK)' ci/deps long
	@ci/check-long

# A minute of it. `ci/fuzz SECONDS` for more.
fuzz:
	@ci/deps fuzz
	@ci/fuzz

bench:
	@LINK='$(LINK)' ci/deps bench
	@ci/bench

clean:
	$(cargo) clean

# Services, and the packages.
include packaging/packages.mk
