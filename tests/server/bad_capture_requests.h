// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_TESTS_SERVER_BAD_CAPTURE_REQUESTS_H_
#define KINSOCK_TESTS_SERVER_BAD_CAPTURE_REQUESTS_H_

#include <grpcpp/channel.h>

#include <memory>
#include <vector>

#include "tests/server/bad_requests.h"

namespace kinsock::testing {

// What can be wrong with a capture. The daemon is that of BadRequests(), and its configuration does not allow payload.
std::vector<BadRequest> BadCaptureRequests(std::shared_ptr<grpc::Channel> channel);

}  // namespace kinsock::testing

#endif  // KINSOCK_TESTS_SERVER_BAD_CAPTURE_REQUESTS_H_
