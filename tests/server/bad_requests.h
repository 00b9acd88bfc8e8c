// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_TESTS_SERVER_BAD_REQUESTS_H_
#define KINSOCK_TESTS_SERVER_BAD_REQUESTS_H_

#include <grpcpp/channel.h>
#include <grpcpp/support/status.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace kinsock::testing {

// Something that is wrong with a request, and what the daemon has to say of it.
struct BadRequest {
  std::string what;
  std::function<grpc::Status()> send;  // any thread
  grpc::StatusCode code;
  std::string reason;  // "": gRPC answers, and gives none
  std::string field;   // "": it is not about a field
};

struct BadPaths {
  std::string allowed;  // where sockets may be: with foreign.sock, which is somebody else's, and a symbolic link "link"
  std::string forbidden;    // where they may not, and where the link leads; beside it, and called "forbidden"
  std::string connections;  // of this start of the daemon: "connections/{instance}-"
};

// Everything that can be wrong, method by method. The daemon has two VMs: "there" with CID 50, and one that was created
// with the request_id "once". None of this changes anything.
std::vector<BadRequest> BadRequests(std::shared_ptr<grpc::Channel> channel, const BadPaths& paths);

}  // namespace kinsock::testing

#endif  // KINSOCK_TESTS_SERVER_BAD_REQUESTS_H_
