// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_DEVICE_VHOST_USER_MESSAGE_H_
#define KINSOCK_DEVICE_VHOST_USER_MESSAGE_H_

#include <cstddef>
#include <cstdint>

namespace kinsock {

// The vhost-user protocol as far as a vsock device meets it ("Vhost-user Protocol", QEMU documentation).
// Messages are in the byte order of the host: both ends run on it.

enum class VhostUserRequest : uint32_t {
  kGetFeatures = 1,
  kSetFeatures = 2,
  kSetOwner = 3,
  kResetOwner = 4,
  kSetMemTable = 5,
  kSetLogBase = 6,
  kSetLogFd = 7,
  kSetVringNum = 8,
  kSetVringAddr = 9,
  kSetVringBase = 10,
  kGetVringBase = 11,
  kSetVringKick = 12,
  kSetVringCall = 13,
  kSetVringErr = 14,
  kGetProtocolFeatures = 15,
  kSetProtocolFeatures = 16,
  kGetQueueNum = 17,
  kSetVringEnable = 18,
  kSetBackendReqFd = 21,
  kGetConfig = 24,
  kSetConfig = 25,
  kResetDevice = 34,
  kGetMaxMemSlots = 36,
  kAddMemReg = 37,
  kRemMemReg = 38,
  kSetStatus = 39,
  kGetStatus = 40,
};

// Bits of VhostUserHeader::flags.
inline constexpr uint32_t kVhostUserVersionMask = 3;
inline constexpr uint32_t kVhostUserVersion = 1;
inline constexpr uint32_t kVhostUserReply = 1u << 2;
inline constexpr uint32_t kVhostUserNeedReply = 1u << 3;

// Bits of a feature word.
inline constexpr uint64_t kVirtioVsockFSeqpacket = 1ull << 1;
inline constexpr uint64_t kVirtioFRingIndirectDesc = 1ull << 28;
inline constexpr uint64_t kVirtioFRingEventIdx = 1ull << 29;
inline constexpr uint64_t kVhostUserFProtocolFeatures = 1ull << 30;
inline constexpr uint64_t kVirtioFVersion1 = 1ull << 32;

// Bits of a protocol feature word.
inline constexpr uint64_t kProtocolFMq = 1ull << 0;
inline constexpr uint64_t kProtocolFReplyAck = 1ull << 3;
inline constexpr uint64_t kProtocolFBackendReq = 1ull << 5;
inline constexpr uint64_t kProtocolFConfig = 1ull << 9;
inline constexpr uint64_t kProtocolFResetDevice = 1ull << 13;
inline constexpr uint64_t kProtocolFConfigureMemSlots = 1ull << 15;
inline constexpr uint64_t kProtocolFStatus = 1ull << 16;

// A request of the back-end (VHOST_USER_BACKEND_CONFIG_CHANGE_MSG), on the socket of SET_BACKEND_REQ_FD.
inline constexpr uint32_t kBackendConfigChange = 2;

struct VhostUserHeader {
  uint32_t request;
  uint32_t flags;
  uint32_t size;  // of the payload, bytes
};
static_assert(sizeof(VhostUserHeader) == 12);

struct VhostUserVringState {
  uint32_t index;
  uint32_t num;
};
static_assert(sizeof(VhostUserVringState) == 8);

struct VhostUserVringAddr {
  uint32_t index;
  uint32_t flags;
  uint64_t desc_user_address;
  uint64_t used_user_address;
  uint64_t avail_user_address;
  uint64_t log_guest_address;
};
static_assert(sizeof(VhostUserVringAddr) == 40);

// In the u64 that comes with a ring's descriptor.
inline constexpr uint64_t kVringFdIndexMask = 0xff;
inline constexpr uint64_t kVringFdNone = 1ull << 8;

struct VhostUserMemoryRegion {
  uint64_t guest_address;
  uint64_t size;
  uint64_t user_address;
  uint64_t mmap_offset;
};
static_assert(sizeof(VhostUserMemoryRegion) == 32);

struct VhostUserMemTable {
  uint32_t count;
  uint32_t padding;
  // followed by `count` regions
};
static_assert(sizeof(VhostUserMemTable) == 8);

struct VhostUserSingleMemRegion {
  uint64_t padding;
  VhostUserMemoryRegion region;
};
static_assert(sizeof(VhostUserSingleMemRegion) == 40);

struct VhostUserConfig {
  uint32_t offset;
  uint32_t size;
  uint32_t flags;
  // followed by `size` bytes
};
static_assert(sizeof(VhostUserConfig) == 12);

inline constexpr size_t kMaxVhostUserMemTableRegions = 8;  // of one SET_MEM_TABLE
inline constexpr size_t kMaxVhostUserFds = 8;              // of one message
inline constexpr size_t kMaxVhostUserConfigBytes = 256;    // VHOST_USER_MAX_CONFIG_SIZE
inline constexpr size_t kMaxVhostUserPayload = 512;        // the largest legal message of the table below

// What is legal about a message; the first checks of its handler are these.
struct VhostUserMessageRule {
  enum class Reply : uint8_t {
    kNone,   // none, unless the front-end asks for an acknowledgement
    kValue,  // always, with a value: an acknowledgement cannot be asked for
  };

  VhostUserRequest request;
  const char* name;
  uint32_t min_payload;  // bytes
  uint32_t max_payload;
  uint8_t min_fds;
  uint8_t max_fds;
  Reply reply;
};

// Null for a request that this device does not take.
const VhostUserMessageRule* FindVhostUserRule(uint32_t request);

}  // namespace kinsock

#endif  // KINSOCK_DEVICE_VHOST_USER_MESSAGE_H_
