// SPDX-License-Identifier: Apache-2.0
#include "tests/support/vhost_user_front_end.h"

#include <sys/eventfd.h>
#include <sys/socket.h>

#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "tests/support/require.h"

namespace kinsock::testing {
namespace {

constexpr uint64_t Bit(int number) { return uint64_t{1} << number; }

// A front-end fills the log address also when nothing is logged.
constexpr uint64_t kUnusedLogAddress = 0x1234'5000;

}  // namespace

VhostUserFrontEnd::VhostUserFrontEnd(VhostUserConnection connection, FrontEndOptions options)
    : connection_(std::move(connection)), options_(options) {}

absl::StatusOr<VhostUserConnection::Message> VhostUserFrontEnd::Ask(uint32_t request,
                                                                    std::span<const std::byte> payload, size_t size,
                                                                    uint32_t flags) {
  KINSOCK_RETURN_IF_ERROR(connection_.Send(request, payload, {}, flags));
  absl::StatusOr<VhostUserConnection::Message> reply = connection_.Receive();
  if (!reply.ok()) {
    return absl::Status(reply.status().code(), absl::StrCat("request ", request, ": ", reply.status().message()));
  }
  const VhostUserHeader& header = reply->header;
  if (header.request != request) {
    return absl::InternalError(absl::StrCat("request ", request, " was answered with ", header.request));
  }
  if (header.flags != (kVhostUserVersion | kVhostUserReply)) {
    return absl::InternalError(absl::StrCat("request ", request, ": flags of the reply are ", header.flags));
  }
  if (header.size != size) {
    return absl::InternalError(absl::StrCat("request ", request, ": ", header.size, " bytes instead of ", size));
  }
  return reply;
}

absl::Status VhostUserFrontEnd::SendAcknowledged(uint32_t request, std::span<const std::byte> payload,
                                                 std::span<const int> fds) {
  if (!Agreed(VHOST_USER_PROTOCOL_F_REPLY_ACK)) return connection_.Send(request, payload, fds);
  KINSOCK_RETURN_IF_ERROR(connection_.Send(request, payload, fds, kVhostUserVersion | kVhostUserNeedReply));
  KINSOCK_ASSIGN_OR_RETURN(VhostUserConnection::Message reply, connection_.Receive());
  uint64_t failure = ~uint64_t{0};
  if (reply.header.request != request || reply.payload.size() != sizeof(failure)) {
    return absl::InternalError(absl::StrCat("no acknowledgement of request ", request));
  }
  std::memcpy(&failure, reply.payload.data(), sizeof(failure));
  if (failure == 0) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("request ", request, " was refused with ", failure));
}

absl::StatusOr<uint64_t> VhostUserFrontEnd::GetU64(uint32_t request) {
  KINSOCK_ASSIGN_OR_RETURN(VhostUserConnection::Message reply, Ask(request, {}, sizeof(uint64_t)));
  uint64_t value;
  std::memcpy(&value, reply.payload.data(), sizeof(value));
  return value;
}

absl::Status VhostUserFrontEnd::SetU64(uint32_t request, uint64_t value) {
  return connection_.Send(request, AsBytes(value));
}

absl::Status VhostUserFrontEnd::SetOwner() { return connection_.Send(VHOST_USER_SET_OWNER, {}); }

absl::StatusOr<VhostUserHeader> VhostUserFrontEnd::TakeFromBackChannel() {
  VhostUserHeader header{};
  const ssize_t got = recv(back_channel_.get(), &header, sizeof(header), MSG_DONTWAIT);
  if (got == 0) back_channel_.reset();  // the back-end has closed it
  if (got <= 0) return absl::NotFoundError("the back-end said nothing");
  if (got != static_cast<ssize_t>(sizeof(header))) return absl::InternalError("half a message on the back channel");
  return header;
}

absl::Status VhostUserFrontEnd::AnswerOnBackChannel(std::span<const std::byte> bytes) {
  const ssize_t sent = send(back_channel_.get(), bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  return sent == static_cast<ssize_t>(bytes.size()) ? absl::OkStatus()
                                                    : absl::InternalError("the back channel is gone");
}

absl::StatusOr<bool> VhostUserFrontEnd::ServeBackChannel() {
  if (!back_channel_.valid()) return false;
  const absl::StatusOr<VhostUserHeader> message = TakeFromBackChannel();
  if (absl::IsNotFound(message.status())) return false;
  KINSOCK_RETURN_IF_ERROR(message.status());
  if (message->request != VHOST_USER_SLAVE_CONFIG_CHANGE_MSG || message->size != 0 ||
      (message->flags & kVhostUserVersionMask) != kVhostUserVersion) {
    return absl::InternalError(absl::StrCat("message ", message->request, " on the back channel"));
  }
  KINSOCK_RETURN_IF_ERROR(GetConfigCid().status());
  if ((message->flags & kVhostUserNeedReply) == 0) return true;
  const struct {
    VhostUserHeader header;
    uint64_t result;
  } __attribute__((packed)) reply{{message->request, kVhostUserVersion | kVhostUserReply, sizeof(uint64_t)}, 0};
  KINSOCK_RETURN_IF_ERROR(AnswerOnBackChannel(AsBytes(reply)));
  return true;
}

absl::Status VhostUserFrontEnd::ResetDevice() { return SendAcknowledged(VHOST_USER_RESET_DEVICE, {}); }

absl::StatusOr<uint64_t> VhostUserFrontEnd::GetConfigCid() {
  const VhostUserVsockConfig wanted;
  KINSOCK_ASSIGN_OR_RETURN(VhostUserConnection::Message reply,
                           Ask(VHOST_USER_GET_CONFIG, AsBytes(wanted), sizeof(wanted)));
  VhostUserVsockConfig config;
  std::memcpy(&config, reply.payload.data(), sizeof(config));
  cid_ = uint64_t{config.cid_high} << 32 | config.cid_low;
  return cid_;
}

absl::Status VhostUserFrontEnd::AgreeOnProtocol() {
  KINSOCK_ASSIGN_OR_RETURN(offered_features_, GetU64(VHOST_USER_GET_FEATURES));
  if ((offered_features_ & Bit(VHOST_USER_F_PROTOCOL_FEATURES)) == 0) {
    return absl::FailedPreconditionError("no protocol features: QEMU needs CONFIG");
  }
  KINSOCK_ASSIGN_OR_RETURN(offered_protocol_features_, GetU64(VHOST_USER_GET_PROTOCOL_FEATURES));
  uint64_t accepted =
      Bit(VHOST_USER_PROTOCOL_F_MQ) | Bit(VHOST_USER_PROTOCOL_F_CONFIG) | Bit(VHOST_USER_PROTOCOL_F_RESET_DEVICE);
  if (options_.reply_ack) accepted |= Bit(VHOST_USER_PROTOCOL_F_REPLY_ACK);
  if (options_.back_channel) accepted |= Bit(VHOST_USER_PROTOCOL_F_BACKEND_REQ);
  if (options_.memory_slots) accepted |= Bit(VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS);
  if (options_.status) accepted |= Bit(VHOST_USER_PROTOCOL_F_STATUS);
  protocol_features_ = offered_protocol_features_ & accepted;
  if (!Agreed(VHOST_USER_PROTOCOL_F_CONFIG)) {
    return absl::FailedPreconditionError("QEMU refuses a vsock device without CONFIG");
  }
  return SetU64(VHOST_USER_SET_PROTOCOL_FEATURES, protocol_features_);
}

absl::Status VhostUserFrontEnd::Realize(size_t call_rings) {
  KINSOCK_RETURN_IF_ERROR(AgreeOnProtocol());
  if (Agreed(VHOST_USER_PROTOCOL_F_MQ)) {
    KINSOCK_ASSIGN_OR_RETURN(const uint64_t queues, GetU64(VHOST_USER_GET_QUEUE_NUM));
    if (queues < call_rings) return absl::InternalError(absl::StrCat("only ", queues, " queues"));
  }
  if (Agreed(VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS)) {
    KINSOCK_ASSIGN_OR_RETURN(const uint64_t slots, GetU64(VHOST_USER_GET_MAX_MEM_SLOTS));
    if (slots == 0) return absl::InternalError("no memory slots");
  }
  if (Agreed(VHOST_USER_PROTOCOL_F_BACKEND_REQ)) {
    int ends[2];
    Require(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0, "no socket pair");
    back_channel_.reset(ends[0]);
    const UniqueFd theirs(ends[1]);
    const int fd = theirs.get();
    KINSOCK_RETURN_IF_ERROR(SendAcknowledged(VHOST_USER_SET_SLAVE_REQ_FD, {}, {&fd, 1}));
  }
  KINSOCK_RETURN_IF_ERROR(SetOwner());
  KINSOCK_ASSIGN_OR_RETURN(offered_features_, GetU64(VHOST_USER_GET_FEATURES));
  for (uint32_t i = 0; i < call_rings; ++i) {
    for (const uint32_t request : {VHOST_USER_SET_VRING_CALL, VHOST_USER_SET_VRING_ERR}) {
      early_fds_.push_back(UniqueFd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)));
      KINSOCK_RETURN_IF_ERROR(SetVringFd(request, i, early_fds_.back().get()));
    }
  }
  return GetConfigCid().status();
}

absl::Status VhostUserFrontEnd::SetMemTable(const SharedMemory& memory) {
  VhostUserMemoryTable table;
  std::vector<int> fds;
  for (const SharedMemory::Region& region : memory.regions()) {
    Require(table.regions < std::size(table.region), "SET_MEM_TABLE has eight rows");
    table.region[table.regions++] = {region.gpa, region.size, region.user_address, region.file_offset};
    fds.push_back(memory.fd());
  }
  const size_t size = offsetof(VhostUserMemoryTable, region) + table.regions * sizeof(VhostUserRegion);
  return SendAcknowledged(VHOST_USER_SET_MEM_TABLE, AsBytes(table).first(size), fds);
}

absl::Status VhostUserFrontEnd::AddMemReg(const SharedMemory& memory, const SharedMemory::Region& region) {
  const VhostUserSingleRegion row{0, {region.gpa, region.size, region.user_address, region.file_offset}};
  const int fd = memory.fd();
  return SendAcknowledged(VHOST_USER_ADD_MEM_REG, AsBytes(row), {&fd, 1});
}

absl::Status VhostUserFrontEnd::RemMemReg(const SharedMemory::Region& region) {
  const VhostUserSingleRegion row{0, {region.gpa, region.size, region.user_address, 0}};
  return SendAcknowledged(VHOST_USER_REM_MEM_REG, AsBytes(row));
}

absl::Status VhostUserFrontEnd::SetMemory(const SharedMemory& memory) {
  if (!Agreed(VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS)) return SetMemTable(memory);
  for (const SharedMemory::Region& region : memory.regions()) {
    KINSOCK_RETURN_IF_ERROR(AddMemReg(memory, region));
  }
  return absl::OkStatus();
}

absl::Status VhostUserFrontEnd::SetVringState(uint32_t request, uint32_t index, uint32_t num) {
  const vhost_vring_state state{index, num};
  return connection_.Send(request, AsBytes(state));
}

absl::StatusOr<uint16_t> VhostUserFrontEnd::GetVringBase(uint32_t index) {
  const vhost_vring_state wanted{index, 0};
  KINSOCK_ASSIGN_OR_RETURN(VhostUserConnection::Message reply,
                           Ask(VHOST_USER_GET_VRING_BASE, AsBytes(wanted), sizeof(wanted)));
  vhost_vring_state state;
  std::memcpy(&state, reply.payload.data(), sizeof(state));
  if (state.index != index || state.num > 0xffff) {
    return absl::InternalError(absl::StrCat("base of ring ", index, ": index ", state.index, ", num ", state.num));
  }
  return static_cast<uint16_t>(state.num);
}

absl::Status VhostUserFrontEnd::SetVringAddr(const vhost_vring_addr& address) {
  return connection_.Send(VHOST_USER_SET_VRING_ADDR, AsBytes(address));
}

absl::Status VhostUserFrontEnd::SetVringFd(uint32_t request, uint64_t index, int fd) {
  if (fd < 0) return SetU64(request, index | kVringNoFd);
  return connection_.Send(request, AsBytes(index), {&fd, 1});
}

vhost_vring_addr VhostUserFrontEnd::AddressOf(const SharedMemory& memory, uint32_t index, const VringDriver& ring) {
  vhost_vring_addr address{};
  address.index = index;
  address.desc_user_addr = memory.UserAddress(ring.desc_gpa());
  address.used_user_addr = memory.UserAddress(ring.used_gpa());
  address.avail_user_addr = memory.UserAddress(ring.avail_gpa());
  address.log_guest_addr = kUnusedLogAddress;
  return address;
}

absl::Status VhostUserFrontEnd::SetUpRing(const SharedMemory& memory, uint32_t index, const VringDriver& ring,
                                          uint16_t base) {
  KINSOCK_RETURN_IF_ERROR(SetVringState(VHOST_USER_SET_VRING_NUM, index, ring.entries()));
  KINSOCK_RETURN_IF_ERROR(SetVringState(VHOST_USER_SET_VRING_BASE, index, base));
  KINSOCK_RETURN_IF_ERROR(SetVringAddr(AddressOf(memory, index, ring)));
  return SetVringFd(VHOST_USER_SET_VRING_KICK, index, ring.kick_fd());
}

absl::Status VhostUserFrontEnd::DriverOk(const SharedMemory& memory, std::span<VringDriver* const> rings,
                                         std::span<const uint16_t> bases, uint64_t driver_features) {
  const auto count = static_cast<uint32_t>(rings.size());
  for (uint32_t i = count; i > 0; --i) {
    KINSOCK_RETURN_IF_ERROR(SetVringFd(VHOST_USER_SET_VRING_CALL, i - 1, rings[i - 1]->call_fd()));
  }
  KINSOCK_RETURN_IF_ERROR(SetU64(VHOST_USER_SET_FEATURES, driver_features | Bit(VHOST_USER_F_PROTOCOL_FEATURES)));
  KINSOCK_RETURN_IF_ERROR(SetMemory(memory));
  for (uint32_t i = 0; i < count; ++i) KINSOCK_RETURN_IF_ERROR(SetUpRing(memory, i, *rings[i], bases[i]));
  for (uint32_t i = 0; i < count; ++i) {
    KINSOCK_RETURN_IF_ERROR(SetVringState(VHOST_USER_SET_VRING_ENABLE, i, 1));
  }
  if (Agreed(VHOST_USER_PROTOCOL_F_STATUS)) {
    // ACKNOWLEDGE, DRIVER, FEATURES_OK, DRIVER_OK (virtio 1.3, 2.1).
    KINSOCK_RETURN_IF_ERROR(SetU64(VHOST_USER_SET_STATUS, 1 | 2 | 8 | 4));
  }
  for (uint32_t i = 0; i < count; ++i) {
    rings[i]->SwapCallFd();
    KINSOCK_RETURN_IF_ERROR(SetVringFd(VHOST_USER_SET_VRING_CALL, i, rings[i]->call_fd()));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<uint16_t>> VhostUserFrontEnd::Stop(std::span<VringDriver* const> rings) {
  const auto count = static_cast<uint32_t>(rings.size());
  for (uint32_t i = 0; i < count; ++i) {
    KINSOCK_RETURN_IF_ERROR(SetVringState(VHOST_USER_SET_VRING_ENABLE, i, 0));
  }
  std::vector<uint16_t> bases;
  for (uint32_t i = 0; i < count; ++i) {
    KINSOCK_ASSIGN_OR_RETURN(const uint16_t base, GetVringBase(i));
    bases.push_back(base);
  }
  for (uint32_t i = 0; i < count; ++i) {
    KINSOCK_RETURN_IF_ERROR(SetVringFd(VHOST_USER_SET_VRING_CALL, i, rings[i]->call_fd()));
  }
  return bases;
}

}  // namespace kinsock::testing
