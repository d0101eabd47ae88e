//! The C functions: those of the shared library, or the same code linked as
//! Rust; see `build.rs`.

#[cfg(not(shared_library))]
pub(crate) use libtelemetry::capi::{
    tm_create_record, tm_free_record, tm_is_opted_in, tm_send_record, tm_set_config_file, tm_set_event_id,
    tm_set_payload,
};
#[cfg(shared_library)]
pub(crate) use shared::{
    tm_create_record, tm_free_record, tm_is_opted_in, tm_send_record, tm_set_config_file, tm_set_event_id,
    tm_set_payload,
};

#[cfg(shared_library)]
mod shared {
    use core::ffi::{c_char, c_int};

    use libtelemetry::capi;
    use libtelemetry::capi::telem_ref;

    unsafe extern "C" {
        pub(crate) fn tm_set_config_file(c_file: *const c_char) -> c_int;
        pub(crate) fn tm_create_record(
            t_ref: *mut *mut telem_ref,
            severity: u32,
            classification: *mut c_char,
            payload_version: u32,
        ) -> c_int;
        pub(crate) fn tm_set_payload(t_ref: *mut telem_ref, payload: *mut c_char) -> c_int;
        pub(crate) fn tm_set_event_id(t_ref: *mut telem_ref, event_id: *mut c_char) -> c_int;
        pub(crate) fn tm_send_record(t_ref: *mut telem_ref) -> c_int;
        pub(crate) fn tm_free_record(t_ref: *mut telem_ref);
        pub(crate) safe fn tm_is_opted_in() -> c_int;
    }

    // What is declared is what is defined.
    const _: () = {
        let _ = [tm_set_config_file as unsafe extern "C" fn(_) -> _, capi::tm_set_config_file];
        let _ = [tm_create_record as unsafe extern "C" fn(_, _, _, _) -> _, capi::tm_create_record];
        let _ = [tm_set_payload as unsafe extern "C" fn(_, _) -> _, capi::tm_set_payload];
        let _ = [tm_set_event_id as unsafe extern "C" fn(_, _) -> _, capi::tm_set_event_id];
        let _ = [tm_send_record as unsafe extern "C" fn(_) -> _, capi::tm_send_record];
        let _ = [tm_free_record as unsafe extern "C" fn(_), capi::tm_free_record];
        let _ = [tm_is_opted_in as extern "C" fn() -> _, capi::tm_is_opted_in];
    };
}
