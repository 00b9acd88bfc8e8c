// SPDX-License-Identifier: Apache-2.0
//
// The vhost-user protocol as numbers: written from its specification, for the front-end's side of tests. It shares
// nothing with the daemon's own definitions, so that a wrong number there cannot be wrong here in the same way.
#ifndef KINSOCK_TESTS_SUPPORT_VHOST_USER_WIRE_H_
#define KINSOCK_TESTS_SUPPORT_VHOST_USER_WIRE_H_

#include <cstddef>
#include <cstdint>

#include "tests/support/uapi.h"

namespace kinsock::testing {

// "Front-end message types".
enum VhostUserRequest : uint32_t {
  VHOST_USER_GET_FEATURES = 1,
  VHOST_USER_SET_FEATURES = 2,
  VHOST_USER_SET_OWNER = 3,
  VHOST_USER_RESET_OWNER = 4,
  VHOST_USER_SET_MEM_TABLE = 5,
  VHOST_USER_SET_LOG_BASE = 6,
  VHOST_USER_SET_LOG_FD = 7,
  VHOST_USER_SET_VRING_NUM = 8,
  VHOST_USER_SET_VRING_ADDR = 9,
  VHOST_USER_SET_VRING_BASE = 10,
  VHOST_USER_GET_VRING_BASE = 11,
  VHOST_USER_SET_VRING_KICK = 12,
  VHOST_USER_SET_VRING_CALL = 13,
  VHOST_USER_SET_VRING_ERR = 14,
  VHOST_USER_GET_PROTOCOL_FEATURES = 15,
  VHOST_USER_SET_PROTOCOL_FEATURES = 16,
  VHOST_USER_GET_QUEUE_NUM = 17,
  VHOST_USER_SET_VRING_ENABLE = 18,
  VHOST_USER_SET_SLAVE_REQ_FD = 21,
  VHOST_USER_GET_CONFIG = 24,
  VHOST_USER_SET_CONFIG = 25,
  VHOST_USER_GET_INFLIGHT_FD = 31,
  VHOST_USER_SET_INFLIGHT_FD = 32,
  VHOST_USER_RESET_DEVICE = 34,
  VHOST_USER_GET_MAX_MEM_SLOTS = 36,
  VHOST_USER_ADD_MEM_REG = 37,
  VHOST_USER_REM_MEM_REG = 38,
  VHOST_USER_SET_STATUS = 39,
  VHOST_USER_GET_STATUS = 40,
};

// "Back-end message types", on the socket of SET_SLAVE_REQ_FD.
inline constexpr uint32_t VHOST_USER_SLAVE_CONFIG_CHANGE_MSG = 2;

// "Header", flags.
inline constexpr uint32_t kVhostUserVersionMask = 0x3;
inline constexpr uint32_t kVhostUserVersion = 0x1;
inline constexpr uint32_t kVhostUserReply = 0x4;
inline constexpr uint32_t kVhostUserNeedReply = 0x8;

// Feature bits that are of the transport, and protocol features, by number.
inline constexpr int VHOST_USER_F_PROTOCOL_FEATURES = 30;
inline constexpr int VHOST_USER_PROTOCOL_F_MQ = 0;
inline constexpr int VHOST_USER_PROTOCOL_F_REPLY_ACK = 3;
inline constexpr int VHOST_USER_PROTOCOL_F_BACKEND_REQ = 5;
inline constexpr int VHOST_USER_PROTOCOL_F_CONFIG = 9;
inline constexpr int VHOST_USER_PROTOCOL_F_RESET_DEVICE = 13;
inline constexpr int VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS = 15;
inline constexpr int VHOST_USER_PROTOCOL_F_STATUS = 16;

// In the 64-bit payload of SET_VRING_KICK, CALL and ERR: no descriptor comes with it.
inline constexpr uint64_t kVringNoFd = 0x100;

struct VhostUserHeader {
  uint32_t request = 0;
  uint32_t flags = 0;
  uint32_t size = 0;
};
static_assert(sizeof(VhostUserHeader) == 12);

struct VhostUserRegion {
  uint64_t guest_address = 0;
  uint64_t size = 0;
  uint64_t user_address = 0;
  uint64_t mmap_offset = 0;
};
static_assert(sizeof(VhostUserRegion) == 32);

struct VhostUserMemoryTable {
  uint32_t regions = 0;
  uint32_t padding = 0;
  VhostUserRegion region[8];
};
static_assert(offsetof(VhostUserMemoryTable, region) == 8);

struct VhostUserSingleRegion {
  uint64_t padding = 0;
  VhostUserRegion region;
};
static_assert(sizeof(VhostUserSingleRegion) == 40);

// The configuration space of a vsock device is the 64-bit CID (virtio 1.3, 5.10.4).
struct VhostUserVsockConfig {
  uint32_t offset = 0;
  uint32_t size = sizeof(uint64_t);
  uint32_t flags = 0;
  uint32_t cid_low = 0;  // two halves: the 64 bits are not aligned on the wire
  uint32_t cid_high = 0;
};
static_assert(sizeof(VhostUserVsockConfig) == 20);

static_assert(sizeof(vhost_vring_state) == 8);
static_assert(sizeof(vhost_vring_addr) == 40);

}  // namespace kinsock::testing

#endif  // KINSOCK_TESTS_SUPPORT_VHOST_USER_WIRE_H_
