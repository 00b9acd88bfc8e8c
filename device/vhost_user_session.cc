// SPDX-License-Identifier: Apache-2.0
#include "device/vhost_user_session.h"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/stat.h>

#include <algorithm>
#include <bit>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/probes.h"
#include "base/status_macros.h"

namespace kinsock {
namespace {

constexpr uint64_t kFeatures =
    kVirtioFRingIndirectDesc | kVirtioFRingEventIdx | kVhostUserFProtocolFeatures | kVirtioFVersion1;

constexpr uint64_t kProtocolFeatures = kProtocolFMq | kProtocolFReplyAck | kProtocolFBackendReq | kProtocolFConfig |
                                       kProtocolFResetDevice | kProtocolFStatus;

MemoryRegionSpec SpecOf(const VhostUserMemoryRegion& region, UniqueFd fd) {
  return {.guest_address = region.guest_address,
          .size = region.size,
          .user_address = region.user_address,
          .mmap_offset = region.mmap_offset,
          .fd = std::move(fd)};
}

// Before the padding was added, some front-ends sent the region alone.
VhostUserMemoryRegion SingleRegion(const VhostUserMessage& message) {
  constexpr size_t kPadding = offsetof(VhostUserSingleMemRegion, region);
  return message.Payload<VhostUserMemoryRegion>(message.header.size == sizeof(VhostUserSingleMemRegion) ? kPadding : 0);
}

}  // namespace

VhostUserSession::VhostUserSession(EventLoop& loop, VhostUserChannel channel, const Options& options,
                                   VhostUserDevice& device, std::function<void(absl::Status)> ended)
    : loop_(loop),
      channel_(std::move(channel)),
      options_(options),
      device_(device),
      ended_(std::move(ended)),
      protocol_features_(OfferedProtocolFeatures()) {}

VhostUserSession::~VhostUserSession() {
  if (watching_) loop_.Forget(channel_.fd(), *this);
  if (message_timer_armed_) loop_.Cancel(message_timer_);
  for (RingSetup& ring : rings_) StopRing(ring);
  if (memory_ != nullptr) device_.Discard(std::move(memory_));
}

absl::Status VhostUserSession::Start() {
  KINSOCK_RETURN_IF_ERROR(loop_.Watch(channel_.fd(), EPOLLIN, *this));
  watching_ = true;
  return absl::OkStatus();
}

void VhostUserSession::Pause() { loop_.Rearm(channel_.fd(), EPOLLET, *this); }

void VhostUserSession::Resume() { loop_.Rearm(channel_.fd(), EPOLLIN, *this); }

bool VhostUserSession::ChangeCid(uint32_t cid) {
  options_.guest_cid = cid;
  if (!backend_channel_.has_value()) return false;
  // Of a session that began in the middle, REPLY_ACK is taken as agreed upon, as everything is.
  const bool acknowledged = (protocol_features_ & kProtocolFReplyAck) != 0;
  return backend_channel_->SayConfigChange(acknowledged) && acknowledged;
}

bool VhostUserSession::HungUp() const {
  pollfd state{.fd = channel_.fd(), .events = POLLRDHUP, .revents = 0};
  return poll(&state, 1, 0) > 0 && (state.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
}

void VhostUserSession::SignalRingErrors() {
  for (const RingSetup& ring : rings_) {
    if (ring.error != nullptr) ring.error->Signal();
  }
}

uint64_t VhostUserSession::OfferedFeatures() const {
  return kFeatures | (options_.offer_seqpacket ? kVirtioVsockFSeqpacket : 0);
}

uint64_t VhostUserSession::OfferedProtocolFeatures() const {
  return kProtocolFeatures | (options_.offer_mem_slots ? kProtocolFConfigureMemSlots : 0);
}

void VhostUserSession::OnReady(uint32_t) {
  VhostUserMessage message;
  bool go_on = true;
  for (int i = 0; i < kMessagesPerWakeup && go_on; ++i) {
    switch (channel_.Read(message)) {
      case VhostUserChannel::ReadResult::kMessage:
        if (absl::Status status = Handle(message, go_on); !status.ok()) return End(std::move(status));
        break;
      case VhostUserChannel::ReadResult::kIncomplete:
        if (channel_.MidMessage() && !std::exchange(message_timer_armed_, true)) {
          message_timer_ = loop_.RunAfter(kMessageTimeout, [this] {
            message_timer_armed_ = false;
            if (channel_.MidMessage()) {
              End(absl::DeadlineExceededError("the front-end stopped in the middle of a message"));
            }
          });
        }
        return;
      case VhostUserChannel::ReadResult::kClosed:
        return End(absl::OkStatus());
      case VhostUserChannel::ReadResult::kError:
        return End(channel_.error());
    }
  }
}

void VhostUserSession::End(absl::Status status) {
  // The session may be gone after the call.
  auto ended = std::exchange(ended_, nullptr);
  if (ended) ended(std::move(status));
}

// A message that is legal but cannot be done is refused where the front-end asked for an answer; otherwise it
// would go on without knowing, so the session ends.
KINSOCK_HAS_PROBE absl::Status VhostUserSession::Handle(VhostUserMessage& message, bool& go_on) {
  const VhostUserMessageRule& rule = *FindVhostUserRule(message.header.request);
  const auto fds = static_cast<uint32_t>(message.fds.size());  // the handler takes them
  const absl::Status status = Dispatch(message);
  ProbeVhostMsg(options_.guest_cid, message.header.request, rule.name, message.header.size, fds, status.ok() ? 0 : 1);
  const absl::Status annotated =
      status.ok() ? status : absl::Status(status.code(), absl::StrCat(rule.name, ": ", status.message()));
  go_on = device_.OnMessage(annotated);
  const bool acknowledge = message.needs_reply() && rule.reply == VhostUserMessageRule::Reply::kNone;
  if (!acknowledge) return annotated;
  return channel_.Reply(message.header, uint64_t{status.ok() ? 0u : 1u});
}

absl::Status VhostUserSession::Dispatch(VhostUserMessage& message) {
  switch (static_cast<VhostUserRequest>(message.header.request)) {
    case VhostUserRequest::kGetFeatures:
      return channel_.Reply(message.header, OfferedFeatures());
    case VhostUserRequest::kSetFeatures:
      return SetFeatures(message);
    case VhostUserRequest::kSetOwner:
      return absl::OkStatus();
    case VhostUserRequest::kResetOwner:
    case VhostUserRequest::kResetDevice:
      return ResetDevice();
    case VhostUserRequest::kSetMemTable:
      return SetMemTable(message);
    case VhostUserRequest::kSetVringNum:
      return SetVringNum(message);
    case VhostUserRequest::kSetVringAddr:
      return SetVringAddr(message);
    case VhostUserRequest::kSetVringBase:
      return SetVringBase(message);
    case VhostUserRequest::kGetVringBase:
      return GetVringBase(message);
    case VhostUserRequest::kSetVringKick:
      return SetVringKick(message);
    case VhostUserRequest::kSetVringCall:
      return SetVringCall(message);
    case VhostUserRequest::kSetVringErr:
      return SetVringErr(message);
    case VhostUserRequest::kGetProtocolFeatures:
      return channel_.Reply(message.header, OfferedProtocolFeatures());
    case VhostUserRequest::kSetProtocolFeatures:
      return SetProtocolFeatures(message);
    case VhostUserRequest::kGetQueueNum:
      return channel_.Reply(message.header, uint64_t{kRings});
    case VhostUserRequest::kSetVringEnable:
      return SetVringEnable(message);
    case VhostUserRequest::kSetBackendReqFd:
      return SetBackendReqFd(message);
    case VhostUserRequest::kGetConfig:
      return GetConfig(message);
    case VhostUserRequest::kSetConfig:
      return absl::InvalidArgumentError("the configuration of a vsock device cannot be written");
    case VhostUserRequest::kGetMaxMemSlots:
      return channel_.Reply(message.header, uint64_t{GuestMemory::kMaxRegions});
    case VhostUserRequest::kAddMemReg:
      return AddMemReg(message);
    case VhostUserRequest::kRemMemReg:
      return RemMemReg(message);
    case VhostUserRequest::kSetStatus:
      return SetStatus(message);
    case VhostUserRequest::kGetStatus:
      return channel_.Reply(message.header, status_);
    case VhostUserRequest::kSetLogBase:
    case VhostUserRequest::kSetLogFd:
      break;  // not in the table: migration is not offered
  }
  return absl::UnimplementedError("not served");
}

// --- Negotiation ---

absl::Status VhostUserSession::SetFeatures(const VhostUserMessage& message) {
  const auto features = message.Payload<uint64_t>();
  const uint64_t unknown = features & ~OfferedFeatures();
  if (unknown != 0) {
    return absl::InvalidArgumentError(absl::StrFormat("features 0x%x were not offered", unknown));
  }
  features_ = features;
  device_.OnSessionChanged();
  // Without protocol features there is no SET_VRING_ENABLE: rings run as soon as they are started.
  if ((features & kVhostUserFProtocolFeatures) == 0) {
    for (RingSetup& ring : rings_) {
      ring.enabled = true;
      KINSOCK_RETURN_IF_ERROR(StartIfReady(ring));
    }
  }
  return absl::OkStatus();
}

absl::Status VhostUserSession::SetProtocolFeatures(const VhostUserMessage& message) {
  const auto features = message.Payload<uint64_t>();
  if ((features & ~OfferedProtocolFeatures()) != 0) {
    return absl::InvalidArgumentError(
        absl::StrFormat("protocol features 0x%x were not offered", features & ~OfferedProtocolFeatures()));
  }
  protocol_features_ = features;
  device_.OnSessionChanged();
  return absl::OkStatus();
}

absl::Status VhostUserSession::GetConfig(const VhostUserMessage& message) {
  // virtio 1.3, 5.10.4: the whole of it is guest_cid, 64 bits, little-endian.
  const uint64_t config = options_.guest_cid;
  const auto request = message.Payload<VhostUserConfig>();
  const size_t room = message.header.size - sizeof(VhostUserConfig);
  // An empty answer is the protocol's way to refuse.
  if (request.size > room || uint64_t{request.offset} + request.size > sizeof(config)) {
    return channel_.Reply(message.header, absl::Span<const std::byte>());
  }
  std::array<std::byte, kMaxVhostUserPayload> reply{};
  std::memcpy(reply.data(), &request, sizeof(request));
  std::memcpy(reply.data() + sizeof(request), reinterpret_cast<const char*>(&config) + request.offset, request.size);
  KINSOCK_RETURN_IF_ERROR(channel_.Reply(message.header, absl::MakeConstSpan(reply.data(), message.header.size)));
  // Its upper half says nothing.
  if (request.offset == 0 && request.size >= sizeof(options_.guest_cid)) device_.OnCidRead();
  return absl::OkStatus();
}

absl::Status VhostUserSession::SetStatus(const VhostUserMessage& message) {
  status_ = message.Payload<uint64_t>();
  return absl::OkStatus();
}

absl::Status VhostUserSession::ResetDevice() {
  for (RingSetup& ring : rings_) {
    StopRing(ring);
    ring.enabled = false;
    ring.kick.reset();
    ring.layout.base = 0;
  }
  status_ = 0;
  device_.ResetDevice();
  return absl::OkStatus();
}

// --- Memory ---

absl::Status VhostUserSession::SetMemTable(VhostUserMessage& message) {
  const auto table = message.Payload<VhostUserMemTable>();
  const size_t expected = sizeof(VhostUserMemTable) + size_t{table.count} * sizeof(VhostUserMemoryRegion);
  if (table.count > kMaxVhostUserMemTableRegions || message.header.size != expected) {
    return absl::InvalidArgumentError(
        absl::StrCat(table.count, " regions in a payload of ", message.header.size, " bytes"));
  }
  if (message.fds.size() != table.count) {
    return absl::InvalidArgumentError(
        absl::StrCat(table.count, " regions with ", message.fds.size(), " file descriptors"));
  }
  std::vector<MemoryRegionSpec> specs;
  for (size_t i = 0; i < table.count; ++i) {
    const auto region =
        message.Payload<VhostUserMemoryRegion>(sizeof(VhostUserMemTable) + i * sizeof(VhostUserMemoryRegion));
    specs.push_back(SpecOf(region, std::move(message.fds[i])));
  }
  KINSOCK_ASSIGN_OR_RETURN(auto memory, GuestMemory::Create(std::move(specs)));
  return ReplaceMemory(std::move(memory));
}

absl::Status VhostUserSession::AddMemReg(VhostUserMessage& message) {
  if ((protocol_features_ & kProtocolFConfigureMemSlots) == 0) {
    return absl::FailedPreconditionError("CONFIGURE_MEM_SLOTS was not negotiated");
  }
  static const GuestMemory kNone;
  const GuestMemory& before = memory_ == nullptr ? kNone : *memory_;
  KINSOCK_ASSIGN_OR_RETURN(auto memory, before.With(SpecOf(SingleRegion(message), std::move(message.fds[0]))));
  return ReplaceMemory(std::move(memory));
}

absl::Status VhostUserSession::RemMemReg(const VhostUserMessage& message) {
  if (memory_ == nullptr) return absl::NotFoundError("there is no memory");
  const VhostUserMemoryRegion region = SingleRegion(message);
  KINSOCK_ASSIGN_OR_RETURN(auto memory, memory_->Without(region.guest_address, region.size, region.user_address));
  return ReplaceMemory(std::move(memory));
}

absl::Status VhostUserSession::ReplaceMemory(std::shared_ptr<const GuestMemory> memory) {
  if (absl::Status moved = device_.MoveMemory(memory); !moved.ok()) {
    device_.Discard(std::move(memory));
    return moved;
  }
  std::swap(memory_, memory);
  if (memory != nullptr) device_.Discard(std::move(memory));
  device_.OnSessionChanged();
  for (RingSetup& ring : rings_) KINSOCK_RETURN_IF_ERROR(StartIfReady(ring));
  return absl::OkStatus();
}

// --- Rings ---

absl::StatusOr<RingSetup*> VhostUserSession::FindRing(const char* name, uint64_t index) {
  if (index < rings_.size()) return &rings_[index];
  return absl::OutOfRangeError(absl::StrCat(name, " of ring ", index, ", there are ", rings_.size()));
}

absl::Status VhostUserSession::SetVringNum(const VhostUserMessage& message) {
  const auto state = message.Payload<VhostUserVringState>();
  KINSOCK_ASSIGN_OR_RETURN(RingSetup * ring, FindRing("size", state.index));
  if (ring->running) return absl::FailedPreconditionError("the ring is running");
  if (!std::has_single_bit(state.num) || state.num > options_.max_ring_size) {
    return absl::InvalidArgumentError(absl::StrCat(
        "ring size ", state.num, ": not a power of two up to the VM's queue_size of ", options_.max_ring_size));
  }
  ring->layout.size = state.num;
  return StartIfReady(*ring);
}

absl::Status VhostUserSession::SetVringAddr(const VhostUserMessage& message) {
  const auto addr = message.Payload<VhostUserVringAddr>();
  KINSOCK_ASSIGN_OR_RETURN(RingSetup * ring, FindRing("address", addr.index));
  // A running ring gets new addresses only to switch logging on or off, which is not offered.
  if (ring->running) return absl::OkStatus();
  ring->layout.desc_user_address = addr.desc_user_address;
  ring->layout.avail_user_address = addr.avail_user_address;
  ring->layout.used_user_address = addr.used_user_address;
  ring->has_addresses = true;
  return StartIfReady(*ring);
}

absl::Status VhostUserSession::SetVringBase(const VhostUserMessage& message) {
  const auto state = message.Payload<VhostUserVringState>();
  KINSOCK_ASSIGN_OR_RETURN(RingSetup * ring, FindRing("base", state.index));
  if (ring->running) return absl::FailedPreconditionError("the ring is running");
  if (state.num > 0xffff) return absl::InvalidArgumentError(absl::StrCat("base ", state.num));
  ring->layout.base = static_cast<uint16_t>(state.num);
  return absl::OkStatus();
}

absl::Status VhostUserSession::GetVringBase(const VhostUserMessage& message) {
  const auto state = message.Payload<VhostUserVringState>();
  KINSOCK_ASSIGN_OR_RETURN(RingSetup * ring, FindRing("base", state.index));
  StopRing(*ring);
  ring->kick.reset();  // "stopped" until a new one comes
  return channel_.Reply(message.header, VhostUserVringState{.index = state.index, .num = ring->layout.base});
}

// The ring that a descriptor is for, and the descriptor; invalid if the front-end has none to give.
absl::StatusOr<RingSetup*> VhostUserSession::TakeRingFd(const char* name, VhostUserMessage& message, UniqueFd& fd) {
  const auto value = message.Payload<uint64_t>();
  if ((value & ~(kVringFdIndexMask | kVringFdNone)) != 0) {
    return absl::InvalidArgumentError(absl::StrFormat("%s with 0x%x", name, value));
  }
  KINSOCK_ASSIGN_OR_RETURN(RingSetup * ring, FindRing(name, value & kVringFdIndexMask));
  const bool none = (value & kVringFdNone) != 0;
  if (none == !message.fds.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(name, " says that it has ", none ? "no" : "a",
                                                   " descriptor, and comes with ", message.fds.size()));
  }
  if (none) return ring;
  if (!IsEventFd(message.fds[0].get())) {
    return absl::InvalidArgumentError(absl::StrCat("the ", name, " descriptor is no eventfd"));
  }
  fd = std::move(message.fds[0]);
  return ring;
}

// What the front-end or its driver is told by; null for none.
std::shared_ptr<VmmEventFd> VhostUserSession::ToldBy(UniqueFd fd) const {
  return fd.valid() ? std::make_shared<VmmEventFd>(std::move(fd), options_.on_held) : nullptr;
}

absl::Status VhostUserSession::SetVringKick(VhostUserMessage& message) {
  UniqueFd fd;
  KINSOCK_ASSIGN_OR_RETURN(RingSetup * ring, TakeRingFd("kick", message, fd));
  if (!fd.valid()) return absl::UnimplementedError("a ring without kicks would have to be polled");
  if (ring->running) return absl::FailedPreconditionError("the ring is running");
  ring->kick = std::move(fd);
  return StartIfReady(*ring);
}

absl::Status VhostUserSession::SetVringCall(VhostUserMessage& message) {
  UniqueFd fd;
  KINSOCK_ASSIGN_OR_RETURN(RingSetup * ring, TakeRingFd("call", message, fd));
  ring->call = ToldBy(std::move(fd));
  if (ring->running) device_.SetCall(static_cast<size_t>(ring - rings_.data()), ring->call);
  return absl::OkStatus();
}

absl::Status VhostUserSession::SetVringErr(VhostUserMessage& message) {
  UniqueFd fd;
  KINSOCK_ASSIGN_OR_RETURN(RingSetup * ring, TakeRingFd("error", message, fd));
  ring->error = ToldBy(std::move(fd));
  return absl::OkStatus();
}

// The socket is never waited for, whatever its flags say (BackendChannel). Anything else could be.
absl::Status VhostUserSession::SetBackendReqFd(VhostUserMessage& message) {
  struct stat status {};
  if (fstat(message.fds[0].get(), &status) != 0 || !S_ISSOCK(status.st_mode)) {
    return absl::InvalidArgumentError("the descriptor of the back channel is no socket");
  }
  backend_channel_.emplace(loop_, std::move(message.fds[0]), [this] { device_.OnCidTold(); });
  return absl::OkStatus();
}

absl::Status VhostUserSession::SetVringEnable(const VhostUserMessage& message) {
  const auto state = message.Payload<VhostUserVringState>();
  KINSOCK_ASSIGN_OR_RETURN(RingSetup * ring, FindRing("enable", state.index));
  if (state.num > 1) return absl::InvalidArgumentError(absl::StrCat("enable ", state.num));
  ring->enabled = state.num == 1;
  if (!ring->enabled) StopRing(*ring);
  return StartIfReady(*ring);
}

absl::Status VhostUserSession::StartIfReady(RingSetup& ring) {
  const bool ready = ring.enabled && ring.kick.valid() && ring.has_addresses && ring.layout.size > 0 &&
                     memory_ != nullptr && memory_->regions() > 0;
  if (!ready || ring.running) return absl::OkStatus();
  ring.layout.event_idx = (features_ & kVirtioFRingEventIdx) != 0;
  ring.layout.indirect = (features_ & kVirtioFRingIndirectDesc) != 0;
  KINSOCK_RETURN_IF_ERROR(device_.StartRing(static_cast<size_t>(&ring - rings_.data()), ring, features_, memory_));
  ring.running = true;
  return absl::OkStatus();
}

void VhostUserSession::StopRing(RingSetup& ring) {
  if (!std::exchange(ring.running, false)) return;
  ring.layout.base = device_.StopRing(static_cast<size_t>(&ring - rings_.data()));
}

}  // namespace kinsock
