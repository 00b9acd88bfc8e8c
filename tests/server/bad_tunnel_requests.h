// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_TESTS_SERVER_BAD_TUNNEL_REQUESTS_H_
#define KINSOCK_TESTS_SERVER_BAD_TUNNEL_REQUESTS_H_

#include <grpcpp/channel.h>

#include <memory>
#include <vector>

#include "tests/server/bad_requests.h"

namespace kinsock::testing {

// What can be wrong with the first frame of a tunnel. The VM "there" is, and no guest runs on it.
std::vector<BadRequest> BadTunnelRequests(std::shared_ptr<grpc::Channel> channel);

}  // namespace kinsock::testing

#endif  // KINSOCK_TESTS_SERVER_BAD_TUNNEL_REQUESTS_H_
