// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_TESTS_SERVER_BAD_FORWARD_REQUESTS_H_
#define KINSOCK_TESTS_SERVER_BAD_FORWARD_REQUESTS_H_

#include <grpcpp/channel.h>

#include <memory>
#include <vector>

#include "tests/server/bad_requests.h"

namespace kinsock::testing {

// What can be wrong with the requests of ForwardService. The daemon is that of BadRequests().
std::vector<BadRequest> BadForwardRequests(std::shared_ptr<grpc::Channel> channel, const BadPaths& paths);

}  // namespace kinsock::testing

#endif  // KINSOCK_TESTS_SERVER_BAD_FORWARD_REQUESTS_H_
