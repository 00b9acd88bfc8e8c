// SPDX-License-Identifier: Apache-2.0
#include "bench/bench_guest.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "absl/status/status.h"

namespace kinsock::bench {
namespace {

using testing::FrontEndOptions;
using testing::SharedMemory;
using testing::VhostUserConnection;
using testing::VhostUserFrontEnd;
using testing::VringDriver;

constexpr uint32_t kHeaderBytes = sizeof(virtio_vsock_hdr);
static_assert(kHeaderBytes == 44);
constexpr uint32_t kMaxPayload = 64 * 1024;
constexpr uint64_t kEventIdx = uint64_t{1} << VIRTIO_RING_F_EVENT_IDX;
constexpr uint64_t kIndirect = uint64_t{1} << VIRTIO_RING_F_INDIRECT_DESC;
constexpr uint64_t kVersion1 = uint64_t{1} << 32;

void OrDie(const absl::Status& status, const char* what) {
  if (status.ok()) return;
  std::fprintf(stderr, "%s: %s\n", what, std::string(status.message()).c_str());
  std::exit(1);
}

uint64_t MemoryBytes(const BenchGuestOptions& options) {
  const uint64_t buffers = uint64_t{options.ring_entries} * (options.rx_buffer_bytes + 8192);
  const uint64_t payload = options.verify ? uint64_t{options.ring_entries} * (kMaxPayload + 8192) : kMaxPayload;
  return ((buffers + payload + (4u << 20)) / 4096 + 1) * 4096;
}

// Byte `offset` of every stream.
std::byte Pattern(uint64_t offset) { return static_cast<std::byte>(offset * 131 + (offset >> 8) * 17); }

}  // namespace

BenchGuest::BenchGuest(const std::string& socket, const BenchGuestOptions& options)
    : options_(options),
      memory_(SharedMemory::Flat(MemoryBytes(options))),
      rx_ring_(memory_, options.ring_entries, "receive", violations_),
      tx_ring_(memory_, options.ring_entries, "transmit", violations_),
      unused_ring_(memory_, 2, "event", violations_) {
  auto connection = VhostUserConnection::Open(socket);
  OrDie(connection.status(), "connect");
  front_end_ = std::make_unique<VhostUserFrontEnd>(*std::move(connection), FrontEndOptions());
  OrDie(front_end_->Realize(), "realize");
  cid_ = front_end_->cid();
  rx_ring_.Reset(true);
  tx_ring_.Reset(true);
  rx_ring_.RenewEventFds();
  tx_ring_.RenewEventFds();
  LayOutReceiveRing();
  LayOutTransmitRing();
  VringDriver* const rings[] = {&rx_ring_, &tx_ring_};
  const uint16_t bases[] = {0, 0};
  const uint64_t features = front_end_->offered_features() & (kEventIdx | kIndirect | kVersion1);
  OrDie(front_end_->DriverOk(memory_, rings, bases, features), "driver");
  // An answer means that all that was said before has been done.
  OrDie(front_end_->GetU64(testing::VHOST_USER_GET_FEATURES).status(), "driver");
  rx_->Kick();
}

void BenchGuest::LayOutReceiveRing() {
  rx_ = std::make_unique<FastRing>(memory_, rx_ring_);
  for (uint16_t i = 0; i < rx_->size(); ++i) {
    const uint64_t gpa = memory_.Allocate(options_.rx_buffer_bytes);
    rx_buffers_.push_back(memory_.At(gpa, options_.rx_buffer_bytes));
    rx_->desc(i) = {.addr = gpa, .len = options_.rx_buffer_bytes, .flags = VRING_DESC_F_WRITE, .next = 0};
    rx_->Post(i);
  }
  rx_->Publish();
}

void BenchGuest::LayOutTransmitRing() {
  tx_ = std::make_unique<FastRing>(memory_, tx_ring_);
  const uint64_t headers = memory_.Allocate(uint64_t{64} * tx_->size());
  const uint64_t tables = memory_.Allocate(uint64_t{32} * tx_->size());
  const uint64_t shared = options_.verify ? 0 : memory_.Allocate(kMaxPayload);
  for (uint16_t i = 0; i < tx_->size(); ++i) {
    const uint64_t header = headers + uint64_t{64} * i;
    const uint64_t table = tables + uint64_t{32} * i;
    const uint64_t payload = options_.verify ? memory_.Allocate(kMaxPayload) : shared;
    tx_slots_.push_back({.header = reinterpret_cast<virtio_vsock_hdr*>(memory_.At(header, 44)),
                         .table = reinterpret_cast<vring_desc*>(memory_.At(table, 32)),
                         .payload = memory_.At(payload, kMaxPayload),
                         .payload_gpa = payload});
    tx_slots_.back().table[0] = {.addr = header, .len = kHeaderBytes, .flags = 0, .next = 1};
    tx_->desc(i) = {.addr = table, .len = 0, .flags = VRING_DESC_F_INDIRECT, .next = 0};
    free_slots_.push_back(i);
  }
}

BenchGuest::Connection& BenchGuest::Connect(uint64_t cid, uint32_t port) {
  auto connection = std::make_unique<Connection>();
  Connection& result = *connection;
  result.index = static_cast<uint32_t>(connections_.size());
  result.peer_cid = cid;
  result.peer_port = port;
  result.local_port = next_port_++;
  by_key_[{result.local_port, cid, port}] = &result;
  connections_.push_back(std::move(connection));
  SendControl(result, VIRTIO_VSOCK_OP_REQUEST);
  return result;
}

void BenchGuest::Send(Connection& connection, uint64_t bytes, uint32_t write_bytes) {
  connection.to_send += bytes;
  connection.write_bytes = write_bytes;
  if (std::exchange(connection.listed, true)) return;
  senders_.push_back(&connection);
}

void BenchGuest::Close(Connection& connection) {
  SendControl(connection, VIRTIO_VSOCK_OP_SHUTDOWN, VIRTIO_VSOCK_SHUTDOWN_RCV | VIRTIO_VSOCK_SHUTDOWN_SEND);
}

virtio_vsock_hdr BenchGuest::Header(const Connection& connection, uint16_t op) const {
  virtio_vsock_hdr header{};
  header.src_cid = cid_;
  header.dst_cid = connection.peer_cid;
  header.src_port = connection.local_port;
  header.dst_port = connection.peer_port;
  header.type = VIRTIO_VSOCK_TYPE_STREAM;
  header.op = op;
  header.buf_alloc = options_.window;
  header.fwd_cnt = connection.fwd_cnt;
  return header;
}

bool BenchGuest::SendRaw(const virtio_vsock_hdr& header) { return Put(header, 0, 0); }

// One packet into the ring, not yet shown.
bool BenchGuest::Put(virtio_vsock_hdr header, uint32_t bytes, uint64_t pattern_offset) {
  if (free_slots_.empty()) return false;
  const uint16_t index = free_slots_.back();
  free_slots_.pop_back();
  Slot& slot = tx_slots_[index];
  header.len = bytes;
  *slot.header = header;
  slot.table[0].flags = bytes > 0 ? VRING_DESC_F_NEXT : 0;
  slot.table[1] = {.addr = slot.payload_gpa, .len = bytes, .flags = 0, .next = 0};
  tx_->desc(index).len = bytes > 0 ? 32 : 16;
  if (options_.verify) {
    for (uint32_t i = 0; i < bytes; ++i) slot.payload[i] = Pattern(pattern_offset + i);
  }
  tx_->Post(index);
  return true;
}

void BenchGuest::SendControl(Connection& connection, uint16_t op, uint32_t flags) {
  virtio_vsock_hdr header = Header(connection, op);
  header.flags = flags;
  connection.advertised = connection.fwd_cnt;
  if (!control_.empty() || !Put(header, 0, 0)) control_.push_back(header);
}

bool BenchGuest::FlushControl() {
  size_t sent = 0;
  while (sent < control_.size() && Put(control_[sent], 0, 0)) ++sent;
  control_.erase(control_.begin(), control_.begin() + static_cast<ptrdiff_t>(sent));
  return sent > 0;
}

// One packet of each sender in turn, as programs that all write would do.
bool BenchGuest::SendPayload() {
  bool any = false;
  size_t idle = 0;
  while (!senders_.empty() && !free_slots_.empty() && idle < senders_.size()) {
    next_sender_ %= senders_.size();
    Connection& connection = *senders_[next_sender_];
    if (connection.to_send == 0 || connection.state == Connection::State::kReset) {
      connection.listed = false;
      senders_.erase(senders_.begin() + static_cast<ptrdiff_t>(next_sender_));
      idle = 0;
      continue;
    }
    ++next_sender_;
    const uint32_t under_way = connection.tx_cnt - connection.peer_fwd_cnt;
    const uint32_t room = connection.peer_buf_alloc > under_way ? connection.peer_buf_alloc - under_way : 0;
    const auto bytes = static_cast<uint32_t>(
        std::min<uint64_t>({connection.write_bytes, room, connection.to_send, kMaxPayload}));
    if (connection.state != Connection::State::kOpen || bytes == 0) {
      ++idle;
      continue;
    }
    idle = 0;
    connection.advertised = connection.fwd_cnt;
    Put(Header(connection, VIRTIO_VSOCK_OP_RW), bytes, connection.sent);
    connection.tx_cnt += bytes;
    connection.sent += bytes;
    connection.to_send -= bytes;
    any = true;
  }
  return any;
}

bool BenchGuest::Poll() {
  bool any = PollReceive();
  any |= PollTransmit();
  return any;
}

bool BenchGuest::PollTransmit() {
  bool any = false;
  FastRing::Used used;
  while (tx_->Reap(used)) {
    free_slots_.push_back(used.head);
    any = true;
  }
  any |= FlushControl();
  any |= SendPayload();
  tx_->Publish();
  return any;
}

bool BenchGuest::PollReceive() {
  bool any = false;
  FastRing::Used used;
  while (rx_->Reap(used)) {
    Receive(rx_buffers_[used.head], used.written);
    if (posts_buffers_) rx_->Post(used.head);
    any = true;
  }
  rx_->Publish();
  return any;
}

void BenchGuest::Receive(const std::byte* buffer, uint32_t written) {
  if (written < kHeaderBytes) return;
  virtio_vsock_hdr header;
  std::memcpy(&header, buffer, sizeof(header));
  const Key key{header.dst_port, header.src_cid, header.src_port};
  const auto it = by_key_.find(key);
  if (it == by_key_.end()) {
    if (header.op != VIRTIO_VSOCK_OP_REQUEST || !on_accept) return;
    auto connection = std::make_unique<Connection>();
    connection->index = static_cast<uint32_t>(connections_.size());
    connection->state = Connection::State::kOpen;
    connection->peer_cid = header.src_cid;
    connection->peer_port = header.src_port;
    connection->local_port = header.dst_port;
    connection->peer_buf_alloc = header.buf_alloc;
    connection->peer_fwd_cnt = header.fwd_cnt;
    by_key_[key] = connection.get();
    connections_.push_back(std::move(connection));
    SendControl(*connections_.back(), VIRTIO_VSOCK_OP_RESPONSE);
    on_accept(*connections_.back());
    return;
  }
  Connection& connection = *it->second;
  connection.peer_buf_alloc = header.buf_alloc;
  connection.peer_fwd_cnt = header.fwd_cnt;
  switch (header.op) {
    case VIRTIO_VSOCK_OP_RESPONSE:
      connection.state = Connection::State::kOpen;
      if (on_change) on_change(connection);
      break;
    case VIRTIO_VSOCK_OP_RST:
      connection.state = Connection::State::kReset;
      by_key_.erase(it);
      if (on_change) on_change(connection);
      break;
    case VIRTIO_VSOCK_OP_SHUTDOWN:
      connection.peer_shutdown = true;
      if (header.flags == (VIRTIO_VSOCK_SHUTDOWN_RCV | VIRTIO_VSOCK_SHUTDOWN_SEND)) {
        SendControl(connection, VIRTIO_VSOCK_OP_RST);
        connection.state = Connection::State::kReset;
        by_key_.erase(it);
      }
      break;
    case VIRTIO_VSOCK_OP_RW:
      OnPayload(connection, buffer + kHeaderBytes, std::min<uint32_t>(header.len, written - kHeaderBytes));
      break;
    case VIRTIO_VSOCK_OP_CREDIT_REQUEST:
      SendControl(connection, VIRTIO_VSOCK_OP_CREDIT_UPDATE);
      break;
    default:
      break;
  }
}

void BenchGuest::OnPayload(Connection& connection, const std::byte* payload, uint32_t bytes) {
  if (options_.verify) {
    for (uint32_t i = 0; i < bytes; ++i) mismatches_ += payload[i] != Pattern(connection.received + i);
  }
  connection.received += bytes;
  connection.fwd_cnt += bytes;
  received_ += bytes;
  // Linux tells its peer when less than one largest packet is known to be free.
  if (options_.window - (connection.fwd_cnt - connection.advertised) < kMaxPayload) {
    SendControl(connection, VIRTIO_VSOCK_OP_CREDIT_UPDATE);
  }
  if (connection.echoes) Send(connection, bytes, bytes);
  if (on_data) on_data(connection, bytes);
}

bool BenchGuest::Sleepy() { return rx_->AwaitUsed() && (free_slots_.size() == tx_->size() || tx_->AwaitUsed()); }

void BenchGuest::AppendAwaited(std::vector<pollfd>& fds) const {
  fds.push_back({.fd = rx_->call_fd(), .events = POLLIN, .revents = 0});
  fds.push_back({.fd = tx_->call_fd(), .events = POLLIN, .revents = 0});
}

}  // namespace kinsock::bench
