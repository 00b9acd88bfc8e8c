// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_ROUTER_NETWORK_H_
#define KINSOCK_ROUTER_NETWORK_H_

#include <cstdint>

namespace kinsock {

// Names a network for the life of the process; never reused. Each is a space of CIDs: VMs of different networks may
// have the same, and nobody in one can address anybody in another.
using NetworkId = uint64_t;

inline constexpr NetworkId kDefaultNetwork = 0;

}  // namespace kinsock

#endif  // KINSOCK_ROUTER_NETWORK_H_
