#include "serve/microhttpd.h"

#include <dlfcn.h>

#include "base/error.h"

namespace mnemo {
namespace {

constexpr const char* kMicrohttpd = "libmicrohttpd.so.12";

template <class Function>
Function named(void* library, const char* name, Function) {
  void* const match = ::dlsym(library, name);
  if (!match) fail("{}: has no function {}", kMicrohttpd, name);
  return reinterpret_cast<Function>(match);
}

Microhttpd open_microhttpd() {
  void* const library = ::dlopen(kMicrohttpd, RTLD_LAZY | RTLD_LOCAL);
  if (!library) fail("libmicrohttpd cannot be loaded: {}", ::dlerror());
  Microhttpd out{};
  out.add_connection = named(library, "MHD_add_connection", out.add_connection);
  out.add_response_header = named(library, "MHD_add_response_header", out.add_response_header);
  out.create_response_from_buffer_with_free_callback_cls =
      named(library, "MHD_create_response_from_buffer_with_free_callback_cls",
            out.create_response_from_buffer_with_free_callback_cls);
  out.create_response_from_callback =
      named(library, "MHD_create_response_from_callback", out.create_response_from_callback);
  out.create_response_from_fd64 = named(library, "MHD_create_response_from_fd64", out.create_response_from_fd64);
  out.destroy_response = named(library, "MHD_destroy_response", out.destroy_response);
  out.get_connection_info = named(library, "MHD_get_connection_info", out.get_connection_info);
  out.get_connection_values = named(library, "MHD_get_connection_values", out.get_connection_values);
  out.lookup_connection_value = named(library, "MHD_lookup_connection_value", out.lookup_connection_value);
  out.queue_response = named(library, "MHD_queue_response", out.queue_response);
  out.quiesce_daemon = named(library, "MHD_quiesce_daemon", out.quiesce_daemon);
  out.resume_connection = named(library, "MHD_resume_connection", out.resume_connection);
  out.start_daemon = named(library, "MHD_start_daemon", out.start_daemon);
  out.stop_daemon = named(library, "MHD_stop_daemon", out.stop_daemon);
  out.suspend_connection = named(library, "MHD_suspend_connection", out.suspend_connection);
  return out;
}

}  // namespace

const Microhttpd& microhttpd() {
  static const Microhttpd loaded = open_microhttpd();
  return loaded;
}

}  // namespace mnemo
