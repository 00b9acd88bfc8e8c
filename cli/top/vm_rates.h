// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_CLI_TOP_VM_RATES_H_
#define KINSOCK_CLI_TOP_VM_RATES_H_

#include <chrono>

#include "api/kinsock/v1/vm_service.pb.h"
#include "cli/call/client.h"
#include "cli/view/vm_view.h"

namespace kinsock {

// Nobody waits longer for a list.
inline constexpr std::chrono::milliseconds kRateInterval{500};

// All VMs that `request` is about, page after page.
grpc::Status ListAllVms(Client& client, const v1::ListVmsRequest& request, v1::ListVmsResponse& all);

// The same, twice, kRateInterval apart: `all` is the later look, and `rates` what has moved in between.
grpc::Status ListMovingVms(Client& client, v1::ListVmsRequest request, v1::ListVmsResponse& all, RatesByName& rates);

}  // namespace kinsock

#endif  // KINSOCK_CLI_TOP_VM_RATES_H_
