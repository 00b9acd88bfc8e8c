// SPDX-License-Identifier: Apache-2.0
#include "device/vhost_user_message.h"

#include <algorithm>
#include <array>

namespace kinsock {
namespace {

using R = VhostUserRequest;
constexpr auto kNone = VhostUserMessageRule::Reply::kNone;
constexpr auto kValue = VhostUserMessageRule::Reply::kValue;

constexpr uint32_t kMaxMemTable =
    sizeof(VhostUserMemTable) + kMaxVhostUserMemTableRegions * sizeof(VhostUserMemoryRegion);
constexpr uint32_t kMaxConfig = sizeof(VhostUserConfig) + kMaxVhostUserConfigBytes;

// Sizes in bytes: payload from, to; descriptors from, to. The descriptor of a ring may be left out when its
// payload says so; that of the back-end channel may not.
constexpr std::array kRules = {
    VhostUserMessageRule{R::kGetFeatures, "GET_FEATURES", 0, 0, 0, 0, kValue},
    VhostUserMessageRule{R::kSetFeatures, "SET_FEATURES", 8, 8, 0, 0, kNone},
    VhostUserMessageRule{R::kSetOwner, "SET_OWNER", 0, 0, 0, 0, kNone},
    VhostUserMessageRule{R::kResetOwner, "RESET_OWNER", 0, 0, 0, 0, kNone},
    VhostUserMessageRule{R::kSetMemTable, "SET_MEM_TABLE", 8, kMaxMemTable, 0, 8, kNone},
    VhostUserMessageRule{R::kSetVringNum, "SET_VRING_NUM", 8, 8, 0, 0, kNone},
    VhostUserMessageRule{R::kSetVringAddr, "SET_VRING_ADDR", 40, 40, 0, 0, kNone},
    VhostUserMessageRule{R::kSetVringBase, "SET_VRING_BASE", 8, 8, 0, 0, kNone},
    VhostUserMessageRule{R::kGetVringBase, "GET_VRING_BASE", 8, 8, 0, 0, kValue},
    VhostUserMessageRule{R::kSetVringKick, "SET_VRING_KICK", 8, 8, 0, 1, kNone},
    VhostUserMessageRule{R::kSetVringCall, "SET_VRING_CALL", 8, 8, 0, 1, kNone},
    VhostUserMessageRule{R::kSetVringErr, "SET_VRING_ERR", 8, 8, 0, 1, kNone},
    VhostUserMessageRule{R::kGetProtocolFeatures, "GET_PROTOCOL_FEATURES", 0, 0, 0, 0, kValue},
    VhostUserMessageRule{R::kSetProtocolFeatures, "SET_PROTOCOL_FEATURES", 8, 8, 0, 0, kNone},
    VhostUserMessageRule{R::kGetQueueNum, "GET_QUEUE_NUM", 0, 0, 0, 0, kValue},
    VhostUserMessageRule{R::kSetVringEnable, "SET_VRING_ENABLE", 8, 8, 0, 0, kNone},
    VhostUserMessageRule{R::kSetBackendReqFd, "SET_BACKEND_REQ_FD", 0, 8, 1, 1, kNone},
    VhostUserMessageRule{R::kGetConfig, "GET_CONFIG", 12, kMaxConfig, 0, 0, kValue},
    VhostUserMessageRule{R::kSetConfig, "SET_CONFIG", 12, kMaxConfig, 0, 0, kNone},
    VhostUserMessageRule{R::kResetDevice, "RESET_DEVICE", 0, 0, 0, 0, kNone},
    VhostUserMessageRule{R::kGetMaxMemSlots, "GET_MAX_MEM_SLOTS", 0, 0, 0, 0, kValue},
    // QEMU sends a descriptor with the removal as well.
    VhostUserMessageRule{R::kAddMemReg, "ADD_MEM_REG", 32, 40, 1, 1, kNone},
    VhostUserMessageRule{R::kRemMemReg, "REM_MEM_REG", 32, 40, 0, 1, kNone},
    VhostUserMessageRule{R::kSetStatus, "SET_STATUS", 8, 8, 0, 0, kNone},
    VhostUserMessageRule{R::kGetStatus, "GET_STATUS", 0, 0, 0, 0, kValue},
};

static_assert(std::all_of(kRules.begin(), kRules.end(), [](const VhostUserMessageRule& rule) {
  return rule.max_payload <= kMaxVhostUserPayload && rule.max_fds <= kMaxVhostUserFds;
}));

}  // namespace

const VhostUserMessageRule* FindVhostUserRule(uint32_t request) {
  const auto it = std::find_if(kRules.begin(), kRules.end(), [request](const VhostUserMessageRule& rule) {
    return static_cast<uint32_t>(rule.request) == request;
  });
  return it == kRules.end() ? nullptr : &*it;
}

}  // namespace kinsock
