// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_CONVERT_NETWORK_CONVERSION_H_
#define KINSOCK_SERVER_CONVERT_NETWORK_CONVERSION_H_

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "api/kinsock/v1/network_service.pb.h"
#include "server/convert/resource_name.h"
#include "server/manager/network_manager.h"
#include "server/model/network.h"
#include "server/status/error.h"

namespace kinsock {

// Between the messages of NetworkService and the daemon's values. INVALID_ARGUMENT FIELD_INVALID for what the messages
// allow and the values cannot say; the rest is for network_validation. Pure functions; any thread.

v1::Network ToProto(const NetworkSnapshot& network);
v1::Policy ToProto(const PolicyDefinition& policy);
v1::CidLease ToProto(const CidLease& lease);
v1::Network::DefaultPolicy ToProto(DefaultPolicy otherwise);

absl::StatusOr<NetworkSpec> ToNetworkSpec(const v1::Network& network);
absl::StatusOr<PolicySpec> ToPolicySpec(const v1::Policy& policy);

absl::StatusOr<NetworkCreation> ToNetworkCreation(const v1::CreateNetworkRequest& request);
absl::StatusOr<NetworkUpdate> ToNetworkUpdate(const v1::UpdateNetworkRequest& request);
absl::StatusOr<NetworkDeletion> ToNetworkDeletion(const v1::DeleteNetworkRequest& request);
absl::StatusOr<PolicyCreation> ToPolicyCreation(const v1::CreatePolicyRequest& request);
absl::StatusOr<PolicyUpdate> ToPolicyUpdate(const v1::UpdatePolicyRequest& request);
absl::StatusOr<PolicyDeletion> ToPolicyDeletion(const v1::DeletePolicyRequest& request);
absl::StatusOr<CidReservation> ToCidReservation(const v1::ReserveCidRequest& request);
absl::StatusOr<CidRelease> ToCidRelease(const v1::ReleaseCidRequest& request);

}  // namespace kinsock

#endif  // KINSOCK_SERVER_CONVERT_NETWORK_CONVERSION_H_
