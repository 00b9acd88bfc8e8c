// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_MODEL_NETWORK_VALIDATION_H_
#define KINSOCK_SERVER_MODEL_NETWORK_VALIDATION_H_

#include <chrono>
#include <string_view>
#include <vector>

#include "server/model/network.h"
#include "server/status/error.h"

namespace kinsock {

// Bounds of what may be said, all of them far beyond what anybody needs: they keep messages and memory small.
inline constexpr size_t kMaxReservedRanges = 64;
inline constexpr size_t kMaxPortRanges = 32;
inline constexpr size_t kMaxSelectorLabels = 16;
inline constexpr size_t kMaxSelectorGroups = 64;
inline constexpr int32_t kMaxPriority = 1'000'000;  // and as far below zero
// A day: longer than any guest remembers an address.
inline constexpr std::chrono::seconds kMaxQuarantine{24 * 60 * 60};

// Everything that is wrong, by the fields of the API; `prefix` is "network" or "policy". Pure functions; any thread.
std::vector<FieldViolation> CheckNetwork(const NetworkSpec& spec);
std::vector<FieldViolation> CheckPolicy(const PolicySpec& spec);

// Whether the id is one, as of VMs; `field`: "network_id", "policy_id".
void CheckId(std::string_view id, const char* field, std::vector<FieldViolation>& violations);

}  // namespace kinsock

#endif  // KINSOCK_SERVER_MODEL_NETWORK_VALIDATION_H_
