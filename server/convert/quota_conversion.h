// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_CONVERT_QUOTA_CONVERSION_H_
#define KINSOCK_SERVER_CONVERT_QUOTA_CONVERSION_H_

#include "api/kinsock/v1/vm.pb.h"
#include "server/model/quota.h"

namespace kinsock {

// Quotas as the API has them, of VMs and of networks. What is not said is not set. Pure functions; any thread.
v1::Quota ToProto(const Quota& quota);
Quota ToQuota(const v1::Quota& quota);

}  // namespace kinsock

#endif  // KINSOCK_SERVER_CONVERT_QUOTA_CONVERSION_H_
