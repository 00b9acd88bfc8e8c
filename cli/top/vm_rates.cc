// SPDX-License-Identifier: Apache-2.0
#include "cli/top/vm_rates.h"

#include <thread>

#include "absl/strings/str_cat.h"
#include "cli/top/top.h"

namespace kinsock {
namespace {

constexpr int kPageSize = 1000;

}  // namespace

grpc::Status ListAllVms(Client& client, v1::ListVmsRequest request, v1::ListVmsResponse& all) {
  request.set_page_size(kPageSize);
  do {
    grpc::ClientContext context;
    client.SetDeadline(context, kQuestionTimeout);
    v1::ListVmsResponse page;
    const grpc::Status status = client.vms().ListVms(&context, request, &page);
    if (!status.ok()) return status;
    request.set_page_token(page.next_page_token());
    page.clear_next_page_token();
    all.MergeFrom(page);
  } while (!request.page_token().empty());
  return grpc::Status::OK;
}

grpc::Status ListMovingVms(Client& client, v1::ListVmsRequest request, v1::ListVmsResponse& all, RatesByName& rates) {
  request.set_view(v1::FULL);
  if (const grpc::Status status = ListAllVms(client, request, all); !status.ok()) return status;
  Top top;
  top.LookAtVms(all, 0);
  const auto looked_at = std::chrono::steady_clock::now();
  std::this_thread::sleep_for(kRateInterval);
  all.Clear();
  if (const grpc::Status status = ListAllVms(client, request, all); !status.ok()) return status;
  const std::chrono::duration<double> interval = std::chrono::steady_clock::now() - looked_at;
  for (const TopRow& row : top.LookAtVms(all, interval.count())) {
    rates[FullVmName(row.name)] = {absl::StrCat(row.connections), ShortNumber(row.receive), ShortNumber(row.transmit)};
  }
  return grpc::Status::OK;
}

}  // namespace kinsock
