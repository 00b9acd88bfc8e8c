// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_CLI_CALL_CALL_LOG_H_
#define KINSOCK_CLI_CALL_CALL_LOG_H_

#include <grpcpp/support/client_interceptor.h>

#include <memory>
#include <string>
#include <vector>

namespace kinsock {

// What kinsockctl has asked the daemon for. One thread, that of the calls: gRPC runs interceptors on the thread that
// waits for the answer.
struct CallLog {
  bool verbose = false;    // say each on standard error, with how it ended and how long that took
  std::string last_ended;  // "VmService.ListVms"; empty: none has
};

// For a channel: notes the calls in `log`, which outlives it.
std::vector<std::unique_ptr<grpc::experimental::ClientInterceptorFactoryInterface>> NoteCallsIn(CallLog& log);

}  // namespace kinsock

#endif  // KINSOCK_CLI_CALL_CALL_LOG_H_
