// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_CLI_CALL_ASK_H_
#define KINSOCK_CLI_CALL_ASK_H_

#include <google/protobuf/repeated_ptr_field.h>
#include <grpcpp/client_context.h>

#include <chrono>
#include <limits>
#include <vector>

#include "cli/call/client.h"

namespace kinsock {

// One question and its answer, and listings page by page. `method` is that of the stub: &v1::VmService::Stub::ListVms.

// As many objects as a page of the API may have.
inline constexpr int kPageSize = 1000;

template <typename Response, typename Request, typename Stub>
grpc::Status Ask(const Client& client, Stub& stub,
                 grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*), const Request& request,
                 Response& response, std::chrono::milliseconds patience = kQuestionTimeout) {
  grpc::ClientContext context;
  client.SetDeadline(context, patience);
  return (stub.*method)(&context, request, &response);
}

// Gives the pages of a listing to `take` (void(Response&)), one after the other, `most_pages` at most. A page has as
// many objects as `request` says, or kPageSize.
template <typename Response, typename Request, typename Stub, typename Take>
grpc::Status ForEachPage(const Client& client, Stub& stub,
                         grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*), Request request,
                         Take take, int most_pages = std::numeric_limits<int>::max()) {
  if (request.page_size() == 0) request.set_page_size(kPageSize);
  for (int page = 0; page < most_pages; ++page) {
    Response response;
    const grpc::Status status = Ask(client, stub, method, request, response);
    if (!status.ok()) return status;
    request.set_page_token(response.next_page_token());
    response.clear_next_page_token();
    take(response);
    if (request.page_token().empty()) break;
  }
  return grpc::Status::OK;
}

// Puts what a listing has into `all`; `items` are those of a page.
template <typename Item, typename Response, typename Request, typename Stub>
grpc::Status AskForAll(const Client& client, Stub& stub,
                       grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                       const Request& request,
                       const google::protobuf::RepeatedPtrField<Item>& (Response::*items)() const,
                       std::vector<Item>& all) {
  return ForEachPage(client, stub, method, request, [&](const Response& page) {
    all.insert(all.end(), (page.*items)().begin(), (page.*items)().end());
  });
}

}  // namespace kinsock

#endif  // KINSOCK_CLI_CALL_ASK_H_
