// GNU libmicrohttpd, opened on demand: with what it needs for TLS it would cost every start of the program, whatever
// the command, as many instructions as all the rest of a short one.
#pragma once

#include <microhttpd.h>

namespace mnemo {

/// The functions that the server calls, under their names without MHD_.
struct Microhttpd {
  decltype(&MHD_add_connection) add_connection;
  decltype(&MHD_add_response_header) add_response_header;
  decltype(&MHD_create_response_from_buffer_with_free_callback_cls) create_response_from_buffer_with_free_callback_cls;
  decltype(&MHD_create_response_from_callback) create_response_from_callback;
  decltype(&MHD_create_response_from_fd64) create_response_from_fd64;
  decltype(&MHD_destroy_response) destroy_response;
  decltype(&MHD_get_connection_info) get_connection_info;
  decltype(&MHD_get_connection_values) get_connection_values;
  decltype(&MHD_lookup_connection_value) lookup_connection_value;
  decltype(&MHD_queue_response) queue_response;
  decltype(&MHD_quiesce_daemon) quiesce_daemon;
  decltype(&MHD_resume_connection) resume_connection;
  decltype(&MHD_start_daemon) start_daemon;
  decltype(&MHD_stop_daemon) stop_daemon;
  decltype(&MHD_suspend_connection) suspend_connection;
};

/// Opens the library at the first call. Throws Error if it cannot be loaded.
const Microhttpd& microhttpd();

}  // namespace mnemo
