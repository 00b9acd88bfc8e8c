// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_TESTS_SERVER_REQUEST_CATALOGUE_H_
#define KINSOCK_TESTS_SERVER_REQUEST_CATALOGUE_H_

#include <grpcpp/channel.h>
#include <grpcpp/support/status.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tests/server/bad_requests.h"

namespace kinsock::testing {

// What can be wrong with the requests of one service, which whoever derives from this adds.
template <typename Service>
class RequestCatalogue {
 public:
  std::vector<BadRequest> Take() {
    // The stub lives as long as somebody may call it.
    for (BadRequest& bad : all_) bad.send = [stub = stub_, send = std::move(bad.send)] { return send(); };
    return std::move(all_);
  }

 protected:
  using Send = std::function<grpc::Status()>;
  using Stub = typename Service::Stub;

  explicit RequestCatalogue(const std::shared_ptr<grpc::Channel>& channel) : stub_(Service::NewStub(channel)) {}

  void Add(std::string what, Send send, grpc::StatusCode code, const char* reason) {
    all_.push_back({std::move(what), std::move(send), code, reason, ""});
  }
  void Invalid(std::string what, Send send, const char* field) {
    all_.push_back({std::move(what), std::move(send), grpc::StatusCode::INVALID_ARGUMENT, "FIELD_INVALID", field});
  }

  const std::shared_ptr<Stub> stub_;

 private:
  std::vector<BadRequest> all_;
};

}  // namespace kinsock::testing

#endif  // KINSOCK_TESTS_SERVER_REQUEST_CATALOGUE_H_
