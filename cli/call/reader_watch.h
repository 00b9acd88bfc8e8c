// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_CLI_CALL_READER_WATCH_H_
#define KINSOCK_CLI_CALL_READER_WATCH_H_

#include <grpcpp/support/client_interceptor.h>

#include <memory>

namespace kinsock {

// For a channel. With the first call that is answered with a stream, kinsockctl begins to end when nobody reads its
// standard output any more, though it has nothing to write: "vm watch | head -1" must not stay until a VM changes. It
// ends as by such a write, with SIGPIPE; who ignores that has to see to it himself. It takes a thread, which ends with
// the process.
std::unique_ptr<grpc::experimental::ClientInterceptorFactoryInterface> WatchReaderOfStreams();

}  // namespace kinsock

#endif  // KINSOCK_CLI_CALL_READER_WATCH_H_
