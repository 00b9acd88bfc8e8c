// SPDX-License-Identifier: Apache-2.0
#include "cli/top/vm_rates.h"

#include <thread>

#include "absl/strings/str_cat.h"
#include "cli/call/ask.h"
#include "cli/top/top.h"

namespace kinsock {
grpc::Status ListAllVms(Client& client, const v1::ListVmsRequest& request, v1::ListVmsResponse& all) {
  return ForEachPage(client, client.vms(), &v1::VmService::Stub::ListVms, request,
                     [&all](const v1::ListVmsResponse& page) { all.MergeFrom(page); });
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
