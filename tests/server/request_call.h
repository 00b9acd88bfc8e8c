// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_TESTS_SERVER_REQUEST_CALL_H_
#define KINSOCK_TESTS_SERVER_REQUEST_CALL_H_

#include <grpcpp/client_context.h>
#include <grpcpp/support/status.h>
#include <grpcpp/support/sync_stream.h>

#include <functional>
#include <memory>
#include <utility>

#include "tests/server/running_daemon.h"

namespace kinsock::testing {

// Requests to be sent later, any number of times, for the status of their answer alone. The stub outlives them.

template <typename Stub, typename Request, typename Response>
std::function<grpc::Status()> Call(Stub& stub,
                                   grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                                   Request request) {
  return [&stub, method, request = std::move(request)] {
    grpc::ClientContext context;
    SetDeadline(context);
    Response response;
    return (stub.*method)(&context, request, &response);
  };
}

// A stream: the status that it ends with.
template <typename Stub, typename Request, typename Response>
std::function<grpc::Status()> Stream(Stub& stub,
                                     std::unique_ptr<grpc::ClientReader<Response>> (Stub::*method)(grpc::ClientContext*,
                                                                                                   const Request&),
                                     Request request) {
  return [&stub, method, request = std::move(request)] {
    grpc::ClientContext context;
    SetDeadline(context);
    const auto reader = (stub.*method)(&context, request);
    Response response;
    while (reader->Read(&response)) {
    }
    return reader->Finish();
  };
}

// A request as `fill` fills it in.
template <typename Request>
Request With(const std::function<void(Request&)>& fill) {
  Request request;
  fill(request);
  return request;
}

}  // namespace kinsock::testing

#endif  // KINSOCK_TESTS_SERVER_REQUEST_CALL_H_
