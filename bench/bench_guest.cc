// SPDX-License-Identifier: Apache-2.0
#include "bench/bench_guest.h"

#include <linux/vm_sockets.h>

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

constexpr uint64_t kPage = 4096;

// Receive buffers begin at pages, as Linux's do.
uint64_t BufferPitch(const BenchGuestOptions& options) { return (options.rx_buffer_bytes + kPage - 1) / kPage * kPage; }

uint64_t MemoryBytes(const BenchGuestOptions& options) {
  constexpr uint64_t kHeaderTableAndRings = 256;  // of each entry
  const uint64_t entries = options.ring_entries;
  const uint64_t payload = options.verify ? entries * kMaxPayload : kMaxPayload;
  return (entries * (BufferPitch(options) + kHeaderTableAndRings) + payload + (1u << 20)) / kPage * kPage;
}

}  // namespace

uint32_t StreamSeed(uint64_t src_cid, uint32_t src_port, uint32_t dst_port) {
  constexpr uint32_t kSeeds = 1u << 28;  // of the pattern
  const uint64_t source = src_cid == VMADDR_CID_HOST ? 0 : src_port;
  return static_cast<uint32_t>(src_cid * 2654435761 + source * 40503 + dst_port) % kSeeds;
}

BenchGuest::BenchGuest(const std::string& socket, const BenchGuestOptions& options)
    : options_(options),
      memory_(SharedMemory::Flat(MemoryBytes(options))),
      rx_ring_(memory_, options.ring_entries, "receive", violations_),
      tx_ring_(memory_, options.ring_entries, "transmit", violations_) {
  rx_ring_.Reset(true);
  tx_ring_.Reset(true);
  LayOutReceiveRing();
  LayOutTransmitRing();
  const auto begin = std::chrono::steady_clock::now();
  Attach(socket);
  attach_time_ = std::chrono::steady_clock::now() - begin;
  rx_->Kick();
}

void BenchGuest::Attach(const std::string& socket) {
  auto connection = VhostUserConnection::Open(socket);
  OrDie(connection.status(), "connect");
  front_end_ = std::make_unique<VhostUserFrontEnd>(*std::move(connection), FrontEndOptions());
  OrDie(front_end_->Realize(), "realize");
  cid_ = front_end_->cid();
  VringDriver* const rings[] = {&rx_ring_, &tx_ring_};
  const uint16_t bases[] = {0, 0};
  const uint64_t features = front_end_->offered_features() & (kEventIdx | kIndirect | kVersion1);
  OrDie(front_end_->DriverOk(memory_, rings, bases, features), "driver");
  // An answer means that all that was said before has been done.
  OrDie(front_end_->GetU64(testing::VHOST_USER_GET_FEATURES).status(), "driver");
}

void BenchGuest::LayOutReceiveRing() {
  rx_ = std::make_unique<FastRing>(memory_, rx_ring_);
  const uint64_t pitch = BufferPitch(options_);
  const uint64_t buffers = memory_.Allocate(pitch * rx_->size());
  for (uint16_t i = 0; i < rx_->size(); ++i) {
    const uint64_t gpa = buffers + pitch * i;
    rx_buffers_.push_back(memory_.At(gpa, options_.rx_buffer_bytes));
    rx_->desc(i) = {.addr = gpa, .len = options_.rx_buffer_bytes, .flags = VRING_DESC_F_WRITE, .next = 0};
    rx_->Post(i);
  }
  rx_->Show();
}

void BenchGuest::LayOutTransmitRing() {
  tx_ = std::make_unique<FastRing>(memory_, tx_ring_);
  const uint64_t headers = memory_.Allocate(uint64_t{64} * tx_->size());
  const uint64_t tables = memory_.Allocate(uint64_t{32} * tx_->size());
  const uint64_t payloads = memory_.Allocate(options_.verify ? uint64_t{kMaxPayload} * tx_->size() : kMaxPayload);
  for (uint16_t i = 0; i < tx_->size(); ++i) {
    const uint64_t header = headers + uint64_t{64} * i;
    const uint64_t table = tables + uint64_t{32} * i;
    const uint64_t payload = payloads + (options_.verify ? uint64_t{kMaxPayload} * i : 0);
    tx_slots_.push_back({.header = reinterpret_cast<virtio_vsock_hdr*>(memory_.At(header, 44)),
                         .table = reinterpret_cast<vring_desc*>(memory_.At(table, 32)),
                         .payload = memory_.At(payload, kMaxPayload),
                         .header_gpa = header,
                         .table_gpa = table,
                         .payload_gpa = payload});
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
  List(connection);
}

void BenchGuest::List(Connection& connection) {
  if (connection.to_send == 0 || std::exchange(connection.listed, true)) return;
  senders_.push_back(&connection);
}

void BenchGuest::StopSending() {
  for (const std::unique_ptr<Connection>& connection : connections_) connection->to_send = 0;
}

const BenchGuest::Connection* BenchGuest::Find(uint32_t local_port, uint64_t peer_cid, uint32_t peer_port) const {
  const auto it = by_key_.find(Key{local_port, peer_cid, peer_port});
  return it == by_key_.end() ? nullptr : it->second;
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

// One packet into the ring, not yet shown. Payload is that of `stream` at its place.
bool BenchGuest::Put(virtio_vsock_hdr header, uint32_t bytes, const Connection* stream) {
  if (free_slots_.empty()) return false;
  const uint16_t index = free_slots_.back();
  free_slots_.pop_back();
  Slot& slot = tx_slots_[index];
  header.len = bytes;
  *slot.header = header;
  const uint16_t more = bytes > 0 ? VRING_DESC_F_NEXT : 0;
  slot.table[0] = {.addr = slot.header_gpa, .len = kHeaderBytes, .flags = more, .next = 1};
  slot.table[1] = {.addr = slot.payload_gpa, .len = bytes, .flags = 0, .next = 0};
  tx_->desc(index) = {.addr = slot.table_gpa, .len = bytes > 0 ? 32u : 16u, .flags = VRING_DESC_F_INDIRECT, .next = 0};
  if (options_.verify && bytes > 0) {
    const uint32_t seed = StreamSeed(cid_, stream->local_port, stream->peer_port);
    guest::FillPattern(seed, stream->sent, {slot.payload, bytes});
  }
  tx_->Post(index);
  return true;
}

bool BenchGuest::SendChain(const RawChain& chain) {
  if (free_slots_.empty()) return false;
  const uint16_t index = free_slots_.back();
  free_slots_.pop_back();
  Slot& slot = tx_slots_[index];
  *slot.header = chain.header;
  const uint64_t own[] = {slot.header_gpa, slot.payload_gpa};
  for (int i = 0; i < 2; ++i) {
    slot.table[i] = chain.table[i];
    if (slot.table[i].addr == 0) slot.table[i].addr = own[i];
  }
  vring_desc& head = tx_->desc(index);
  head = chain.head;
  const bool indirect = (head.flags & VRING_DESC_F_INDIRECT) != 0;
  if (head.addr == 0) head.addr = indirect ? slot.table_gpa : slot.header_gpa;
  tx_->Post(index);
  return true;
}

void BenchGuest::Queue(const virtio_vsock_hdr& header) {
  if (!control_.empty() || !Put(header, 0, nullptr)) control_.push_back(header);
}

void BenchGuest::SendControl(Connection& connection, uint16_t op, uint32_t flags) {
  virtio_vsock_hdr header = Header(connection, op);
  header.flags = flags;
  connection.advertised = connection.fwd_cnt;
  Queue(header);
}

bool BenchGuest::FlushControl() {
  bool any = false;
  while (!control_.empty() && Put(control_.front(), 0, nullptr)) {
    control_.pop_front();
    any = true;
  }
  return any;
}

uint32_t BenchGuest::NextWrite(const Connection& connection) {
  if (!options_.mixed_writes) return connection.write_bytes;
  random_ ^= random_ << 13;
  random_ ^= random_ >> 7;
  random_ ^= random_ << 17;
  // Half of them small: those are what a back-end may pack.
  const uint32_t most = (random_ & 1) != 0 ? std::min(connection.write_bytes, 512u) : connection.write_bytes;
  return 1 + static_cast<uint32_t>(random_ >> 8) % most;
}

// One packet of each sender in turn, as programs that all write would do. Who may not send sleeps, and costs nothing
// until the peer has said something.
bool BenchGuest::SendPayload() {
  bool any = false;
  while (!senders_.empty() && !free_slots_.empty()) {
    if (next_sender_ >= senders_.size()) next_sender_ = 0;
    Connection& connection = *senders_[next_sender_];
    const uint32_t under_way = connection.tx_cnt - connection.peer_fwd_cnt;
    const uint32_t room = connection.peer_buf_alloc > under_way ? connection.peer_buf_alloc - under_way : 0;
    const auto bytes =
        static_cast<uint32_t>(std::min<uint64_t>({NextWrite(connection), room, connection.to_send, kMaxPayload}));
    if (connection.state != Connection::State::kOpen || bytes == 0) {
      connection.listed = false;
      senders_.erase(senders_.begin() + static_cast<ptrdiff_t>(next_sender_));
      continue;
    }
    ++next_sender_;
    connection.advertised = connection.fwd_cnt;
    Put(Header(connection, VIRTIO_VSOCK_OP_RW), bytes, &connection);
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
    if (header.op == VIRTIO_VSOCK_OP_REQUEST) return Accept(key, header);
    if (header.op != VIRTIO_VSOCK_OP_RST) Refuse(header);
    return;
  }
  Connection& connection = *it->second;
  connection.peer_buf_alloc = header.buf_alloc;
  connection.peer_fwd_cnt = header.fwd_cnt;
  List(connection);
  switch (header.op) {
    case VIRTIO_VSOCK_OP_RESPONSE:
      connection.state = Connection::State::kOpen;
      connection.was_open = true;
      if (on_change) on_change(connection);
      break;
    case VIRTIO_VSOCK_OP_RST:
      End(connection, key);
      break;
    case VIRTIO_VSOCK_OP_SHUTDOWN:
      if (header.flags == (VIRTIO_VSOCK_SHUTDOWN_RCV | VIRTIO_VSOCK_SHUTDOWN_SEND)) {
        SendControl(connection, VIRTIO_VSOCK_OP_RST);
        End(connection, key);
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

void BenchGuest::Accept(const Key& key, const virtio_vsock_hdr& request) {
  const auto listener = listeners_.find(key.local_port);
  if (listener == listeners_.end()) return Refuse(request);
  auto connection = std::make_unique<Connection>();
  connection->index = static_cast<uint32_t>(connections_.size());
  connection->state = Connection::State::kOpen;
  connection->peer_cid = key.peer_cid;
  connection->peer_port = key.peer_port;
  connection->local_port = key.local_port;
  connection->peer_buf_alloc = request.buf_alloc;
  connection->peer_fwd_cnt = request.fwd_cnt;
  by_key_[key] = connection.get();
  connections_.push_back(std::move(connection));
  SendControl(*connections_.back(), VIRTIO_VSOCK_OP_RESPONSE);
  listener->second(*connections_.back());
}

// What nobody here waits for is answered with a reset, as Linux does (virtio 1.3, 5.10.6.4.1).
void BenchGuest::Refuse(const virtio_vsock_hdr& packet) {
  virtio_vsock_hdr reset{};
  reset.src_cid = cid_;
  reset.dst_cid = packet.src_cid;
  reset.src_port = packet.dst_port;
  reset.dst_port = packet.src_port;
  reset.type = packet.type;
  reset.op = VIRTIO_VSOCK_OP_RST;
  Queue(reset);
}

void BenchGuest::End(Connection& connection, const Key& key) {
  connection.state = Connection::State::kReset;
  by_key_.erase(key);
  const bool ours = !listeners_.contains(connection.local_port);
  if (ours && on_change) on_change(connection);
}

void BenchGuest::OnPayload(Connection& connection, const std::byte* payload, uint32_t bytes) {
  if (options_.verify) {
    if (connection.checker == nullptr) {
      const uint32_t seed = StreamSeed(connection.peer_cid, connection.peer_port, connection.local_port);
      connection.checker = std::make_unique<guest::PatternChecker>(seed);
    }
    connection.checker->Feed({payload, bytes});
  }
  connection.received += bytes;
  received_ += bytes;
  if (options_.reads) connection.fwd_cnt += bytes;
  // Linux tells its peer when less than one largest packet is known to be free.
  if (options_.window - (connection.fwd_cnt - connection.advertised) < kMaxPayload) {
    SendControl(connection, VIRTIO_VSOCK_OP_CREDIT_UPDATE);
  }
  if (connection.echoes && bytes > 0) Send(connection, bytes, bytes);
  if (on_data) on_data(connection, bytes);
}

bool BenchGuest::Sleepy() { return rx_->AwaitUsed() && (free_slots_.size() == tx_->size() || tx_->AwaitUsed()); }

void BenchGuest::AppendAwaited(std::vector<pollfd>& fds) const {
  fds.push_back({.fd = rx_->call_fd(), .events = POLLIN, .revents = 0});
  fds.push_back({.fd = tx_->call_fd(), .events = POLLIN, .revents = 0});
}

}  // namespace kinsock::bench
