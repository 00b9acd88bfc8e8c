// SPDX-License-Identifier: Apache-2.0
#include "tests/support/simulated_guest.h"

#include <numeric>
#include <utility>

#include "base/status_macros.h"
#include "tests/support/require.h"

namespace kinsock::testing {

SimulatedGuest::SimulatedGuest(Stage& stage, GuestOptions options) : stage_(stage), machine_(options) {
  stage_.Enter(*this);
}

SimulatedGuest::~SimulatedGuest() { stage_.Leave(*this); }

absl::Status SimulatedGuest::PowerOn(const std::string& vhost_user_socket) {
  AbandonConnections();
  return machine_.PowerOn(vhost_user_socket);
}

absl::Status SimulatedGuest::Reset() {
  KINSOCK_RETURN_IF_ERROR(StopDriver());
  return machine_.StartDriver();
}

absl::Status SimulatedGuest::StopDriver() {
  AbandonConnections();
  return machine_.StopDriver();
}

void SimulatedGuest::Kill() {
  AbandonConnections();
  machine_.Kill();
}

void SimulatedGuest::AbandonConnections() {
  for (auto& [key, connection] : connections_) connection->Abandon();
  connections_.clear();
  accepted_.clear();
}

std::shared_ptr<GuestConnection> SimulatedGuest::NewConnection(const GuestConnection::Key& key, uint16_t type) {
  auto connection =
      std::make_shared<GuestConnection>(key, type, cid(), machine_.options(), machine_.violations(),
                                        [this](VsockPacket packet) { machine_.tx().Queue(std::move(packet)); });
  connections_[key] = connection;
  return connection;
}

Stream SimulatedGuest::Connect(uint64_t peer_cid, Port port, uint16_t type) {
  const auto connection = NewConnection({next_port_++, peer_cid, port}, type);
  connection->SendRequest();
  return Stream(connection);
}

std::optional<Stream> SimulatedGuest::TryAccept(Port port) {
  Listen(port);
  std::deque<Stream>& waiting = accepted_[port];
  if (waiting.empty()) return std::nullopt;
  Stream stream = waiting.front();
  waiting.pop_front();
  return stream;
}

Stream SimulatedGuest::Accept(Port port) {
  Listen(port);
  std::optional<Stream> stream;
  stage_.RunUntil([&] { return (stream = TryAccept(port)).has_value(); });
  Require(stream.has_value(), ("nobody connected\n" + stage_.Describe()).c_str());
  return *stream;
}

VsockPacket SimulatedGuest::Packet(uint16_t op, Port src_port, uint64_t dst_cid, Port dst_port) const {
  VsockPacket packet;
  packet.src_cid = cid();
  packet.dst_cid = dst_cid;
  packet.src_port = src_port;
  packet.dst_port = dst_port;
  packet.op = op;
  packet.buf_alloc = machine_.options().window;
  return packet;
}

void SimulatedGuest::ResumePosting() {
  machine_.rx().set_posting(true);
  if (machine_.on()) machine_.rx().Fill();
}

uint64_t SimulatedGuest::received_packets() const {
  return std::accumulate(received_.begin(), received_.end(), uint64_t{0});
}

bool SimulatedGuest::Poll() {
  bool happened = machine_.ServeVmm();
  if (!machine_.on() || frozen_ || !machine_.memory().usable()) return happened;
  happened |= ServiceEvents();
  happened |= ServiceTx();
  machine_.rx().Fill();
  happened |= ServiceRx();
  happened |= ServiceConnections();
  happened |= machine_.tx().Flush();
  return happened;
}

bool SimulatedGuest::ServiceTx() {
  VringDriver& ring = machine_.tx().ring();
  const bool called = ring.TakeInterrupt();
  if (machine_.options().polling) return machine_.tx().Reclaim();
  if (!called) return false;
  do {
    ring.DisableInterrupts();
    machine_.tx().Reclaim();
  } while (!ring.EnableInterrupts());
  return true;
}

bool SimulatedGuest::ServiceRx() {
  GuestRx& rx = machine_.rx();
  const bool called = rx.ring().TakeInterrupt();
  if (!called && !machine_.options().polling) return false;
  bool any = false;
  do {
    rx.ring().DisableInterrupts();
    while (std::optional<VsockPacket> packet = rx.Take()) {
      any = true;
      Dispatch(*packet);
    }
    rx.Fill();
  } while (!rx.ring().EnableInterrupts());
  return any || called;
}

// virtio_vsock_event_handle(): the CID is read anew, and every connection is gone without a word.
bool SimulatedGuest::ServiceEvents() {
  VringDriver* events = machine_.events();
  if (events == nullptr || !machine_.options().takes_events) return false;
  events->TakeInterrupt();
  if (!events->HasUsed()) return false;
  while (events->HasUsed()) {
    if (events->Reap()->written != 4) machine_.violations().Add("an event that is not four bytes");
    // What came before is under the CID of before; what comes later must not be.
    while (std::optional<VsockPacket> packet = machine_.rx().Take()) Dispatch(*packet);
    machine_.ReadCid();
    AbandonConnections();
    events->Add(ChainBuilder().Writable(machine_.memory().Allocate(4), 4));
  }
  events->Publish();
  events->Kick();
  return true;
}

// In turn, from the one after the last served: a busy stream does not starve the others.
bool SimulatedGuest::ServiceConnections() {
  bool happened = false;
  for (size_t left = connections_.size(); left > 0 && machine_.tx().HasRoom(); --left) {
    auto next = connections_.upper_bound(last_served_);
    if (next == connections_.end()) next = connections_.begin();
    last_served_ = next->first;
    happened |= next->second->Produce();
    if (next->second->state() == GuestConnection::State::kClosed) connections_.erase(next);
  }
  return happened;
}

void SimulatedGuest::Dispatch(const VsockPacket& packet) {
  if (packet.op < received_.size()) ++received_[packet.op];
  CheckHeader(packet);
  if (capturing_.count(packet.dst_port) != 0) {
    captured_.push_back(packet);
    return;
  }
  const auto connection = connections_.find({packet.dst_port, packet.src_cid, packet.src_port});
  if (connection != connections_.end() && connection->second->state() != GuestConnection::State::kClosed) {
    connection->second->Receive(packet);
  } else if (packet.op == VIRTIO_VSOCK_OP_REQUEST && Listens(packet.dst_port, packet.type)) {
    AcceptRequest(packet);
  } else {
    AnswerStray(packet);
  }
}

// virtio 1.3, 5.10.6: what holds for every packet, whatever it is for.
void SimulatedGuest::CheckHeader(const VsockPacket& packet) {
  const auto wrong = [&](const char* what) { machine_.violations().Add(ToString(packet) + ": " + what); };
  // A VMM may know of another address before the driver does; and what was reset was under the former one.
  const bool is_mine = packet.dst_cid == cid() || packet.dst_cid == machine_.configured_cid() ||
                       (packet.op == VIRTIO_VSOCK_OP_RST && packet.dst_cid == machine_.former_cid());
  if (!is_mine) wrong("not for this guest");
  if (packet.src_cid >> 32 != 0) wrong("reserved bits of the source CID");
  if (packet.src_cid == cid() || packet.src_cid < 2) wrong("a source that cannot be");
  if (packet.op == VIRTIO_VSOCK_OP_INVALID || packet.op > VIRTIO_VSOCK_OP_CREDIT_REQUEST) wrong("no such operation");
  // The reset of a packet of an unknown type names that type.
  const bool has_messages = packet.type == VIRTIO_VSOCK_TYPE_SEQPACKET &&
                            (machine_.features() & (uint64_t{1} << VIRTIO_VSOCK_F_SEQPACKET)) != 0;
  if (packet.type != VIRTIO_VSOCK_TYPE_STREAM && !has_messages && packet.op != VIRTIO_VSOCK_OP_RST) {
    wrong("a type that was not agreed");
  }
  if (packet.op != VIRTIO_VSOCK_OP_RW && packet.claimed_length() != 0) wrong("payload where none belongs");
  const bool shutdown = packet.op == VIRTIO_VSOCK_OP_SHUTDOWN;
  if (shutdown && (packet.flags == 0 || packet.flags > 3)) wrong("flags of SHUTDOWN");
  const uint32_t message_flags =
      has_messages && packet.op == VIRTIO_VSOCK_OP_RW ? VIRTIO_VSOCK_SEQ_EOM | VIRTIO_VSOCK_SEQ_EOR : 0;
  if (!shutdown && (packet.flags & ~message_flags) != 0) wrong("flags where none belong");
  if (!shutdown && packet.flags == VIRTIO_VSOCK_SEQ_EOR) wrong("a record that ends within a message");
}

void SimulatedGuest::AcceptRequest(const VsockPacket& request) {
  const auto connection = NewConnection({request.dst_port, request.src_cid, request.src_port}, request.type);
  connection->SendResponse(request);
  accepted_[request.dst_port].push_back(Stream(connection));
}

// virtio_transport_reset_no_sock(): everything but an RST is answered with one.
void SimulatedGuest::AnswerStray(const VsockPacket& packet) {
  strays_.push_back(packet);
  if (strays_.size() > kKeptStrays) strays_.pop_front();
  if (packet.op == VIRTIO_VSOCK_OP_RST) return;
  VsockPacket reset = Packet(VIRTIO_VSOCK_OP_RST, packet.dst_port, packet.src_cid, packet.src_port);
  reset.type = packet.type;
  reset.buf_alloc = 0;
  SendRaw(reset);
}

void SimulatedGuest::AppendAwaited(std::vector<pollfd>& fds) const {
  VirtualMachine& machine = const_cast<VirtualMachine&>(machine_);
  if (machine.vmm_lives() && machine.front_end().connection().fd() >= 0 &&
      machine.options().front_end.serves_back_channel && machine.front_end().back_channel_fd() >= 0) {
    fds.push_back({machine.front_end().back_channel_fd(), POLLIN, 0});
  }
  if (!machine_.on() || frozen_) return;
  if (machine.events() != nullptr && machine.options().takes_events)
    fds.push_back({machine.events()->call_fd(), POLLIN, 0});
  fds.push_back({machine.rx().ring().call_fd(), POLLIN, 0});
  fds.push_back({machine.tx().ring().call_fd(), POLLIN, 0});
}

std::string SimulatedGuest::Describe() const {
  VirtualMachine& machine = const_cast<VirtualMachine&>(machine_);
  std::string text = "guest " + std::to_string(cid()) + (machine_.on() ? "" : " (off)") + ": posted " +
                     std::to_string(machine.rx().ring().outstanding()) + " transmitting " +
                     std::to_string(machine.tx().ring().outstanding()) + " queued " +
                     std::to_string(machine.tx().queued()) + " received " + std::to_string(received_packets());
  size_t listed = 0;
  for (const auto& [key, connection] : connections_) {
    if (++listed > 10) return text + "\n    ...";
    text += "\n    " + connection->Describe();
  }
  return text;
}

}  // namespace kinsock::testing
