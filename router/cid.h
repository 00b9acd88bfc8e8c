// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_ROUTER_CID_H_
#define KINSOCK_ROUTER_CID_H_

#include <cstdint>

namespace kinsock {

// The address of a machine on the vsock (virtio 1.3, 5.10.4). The wire has 64 bits for it, of which the upper
// 32 are reserved and zero.
using Cid = uint32_t;

inline constexpr Cid kHypervisorCid = 0;     // reserved
inline constexpr Cid kLocalCid = 1;          // loopback inside a guest
inline constexpr Cid kHostCid = 2;           // the host, as every guest sees it
inline constexpr Cid kAnyCid = 0xffff'ffff;  // VMADDR_CID_ANY

inline constexpr Cid kFirstGuestCid = 3;
inline constexpr Cid kLastGuestCid = kAnyCid - 1;

// Whether a guest may have this address.
inline constexpr bool IsGuestCid(uint64_t cid) { return cid >= kFirstGuestCid && cid <= kLastGuestCid; }

}  // namespace kinsock

#endif  // KINSOCK_ROUTER_CID_H_
