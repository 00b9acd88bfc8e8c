// SPDX-License-Identifier: Apache-2.0
#include "bench/attack.h"

#include <linux/vm_sockets.h>
#include <poll.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <memory>
#include <optional>

#include "absl/strings/str_cat.h"
#include "bench/drive.h"
#include "bench/probe.h"

namespace kinsock::bench {
namespace {

using Connection = BenchGuest::Connection;

volatile std::sig_atomic_t stop_asked = 0;

void Begin() {
  std::signal(SIGTERM, [](int) { stop_asked = 1; });
  std::signal(SIGINT, [](int) { stop_asked = 1; });
  std::printf("attacking\n");
  std::fflush(stdout);
}

// One guest that attacks, and what it keeps between two strikes. A strike does a few of its operations and returns
// how many.
class Attacker {
 public:
  explicit Attacker(const LoadOptions& options) : options_(options) { Attach(); }

  uint64_t CreditRequests() { return OnConnection(VIRTIO_VSOCK_OP_CREDIT_REQUEST); }
  uint64_t EmptyPackets() { return OnConnection(VIRTIO_VSOCK_OP_RW); }

  // To a port of the victim where nobody listens.
  uint64_t ClosedPort() {
    return Fill([this] { return Packet(VIRTIO_VSOCK_OP_REQUEST, guest_->cid(), options_.victim); });
  }
  uint64_t Resets() {
    return Fill([this] { return Packet(VIRTIO_VSOCK_OP_RST, guest_->cid(), options_.victim); });
  }
  // As if from the host, the victim itself, and a neighbour.
  uint64_t SpoofedSources() {
    return Fill([this] {
      const uint64_t sources[] = {VMADDR_CID_HOST, options_.victim, options_.victim - 1, 0xffff'ffff};
      const uint16_t op = (turn_ & 4) != 0 ? VIRTIO_VSOCK_OP_REQUEST : VIRTIO_VSOCK_OP_RST;
      return Packet(op, sources[turn_ % 4], options_.victim);
    });
  }

  uint64_t Kicks() {
    constexpr int kAtOnce = 64;
    for (int i = 0; i < kAtOnce; ++i) guest_->Kick();
    return kAtOnce;
  }

  uint64_t MalformedChains() {
    uint64_t sent = 0;
    while (guest_->SendChain(Malformed())) ++sent;
    Move();
    return sent;
  }

  uint64_t FrontEnd() {
    constexpr int kAtOnce = 16;
    for (int i = 0; i < kAtOnce; ++i) {
      if (!guest_->front_end().SetVringFd(testing::VHOST_USER_SET_VRING_CALL, 1, guest_->transmit_call_fd()).ok()) {
        return Reattach();
      }
    }
    if (!guest_->front_end().GetConfigCid().ok()) return Reattach();
    return kAtOnce + 1;
  }

  // How often the back-end stopped this guest, which then began anew.
  uint64_t reattached() const { return reattached_; }

 private:
  void Attach() {
    guest_.reset();  // frees the session first
    guest_ = std::make_unique<BenchGuest>(options_.sockets[0], options_.guest);
    stream_ = nullptr;
    moved_ = BenchClock::now();
  }

  uint64_t Reattach() {
    Attach();
    ++reattached_;
    return 0;
  }

  // Takes back what the back-end has returned. A ring that stands still for long was stopped.
  void Move() {
    constexpr std::chrono::milliseconds kStopped{300};
    const BenchClock::time_point now = BenchClock::now();
    guest_->Poll();
    if (!guest_->ring_is_full()) moved_ = now;
    if (now - moved_ > kStopped) Reattach();
  }

  template <typename Next>
  uint64_t Fill(Next next) {
    uint64_t sent = 0;
    while (guest_->SendRaw(next())) ++sent, ++turn_;
    Move();
    return sent;
  }

  virtio_vsock_hdr Packet(uint16_t op, uint64_t source, uint64_t destination) {
    virtio_vsock_hdr header{};
    header.src_cid = source;
    header.dst_cid = destination;
    header.src_port = 0x4000'0000 + turn_;
    header.dst_port = 9;  // nobody listens there
    header.type = VIRTIO_VSOCK_TYPE_STREAM;
    header.op = op;
    header.buf_alloc = options_.guest.window;
    return header;
  }

  // Packets without payload on an open connection to the victim, which is made again whenever it was reset.
  uint64_t OnConnection(uint16_t op) {
    constexpr std::chrono::milliseconds kRetry{20};
    const BenchClock::time_point now = BenchClock::now();
    const bool open = stream_ != nullptr && stream_->state == Connection::State::kOpen;
    if (open) return Fill([this, op] { return guest_->Header(*stream_, op); });
    if (stream_ == nullptr || now - tried_ > kRetry) {
      stream_ = &guest_->Connect(options_.victim, kAttackPort);
      tried_ = now;
    }
    Move();
    poll(nullptr, 0, 1);  // the victim may not be there yet
    return 0;
  }

  BenchGuest::RawChain Malformed() {
    constexpr uint64_t kNowhere = uint64_t{1} << 44;
    constexpr uint16_t kIndirect = VRING_DESC_F_INDIRECT;
    constexpr uint16_t kNext = VRING_DESC_F_NEXT;
    BenchGuest::RawChain chain{.head = {.addr = 0, .len = 44, .flags = 0, .next = 0}};
    chain.header = Packet(VIRTIO_VSOCK_OP_RW, guest_->cid(), options_.victim);
    chain.table[0] = {.addr = 0, .len = 44, .flags = kNext, .next = 1};
    chain.table[1] = {.addr = 0, .len = 64, .flags = 0, .next = 0};
    switch (turn_++ % 7) {
      case 0:
        chain.head.len = 10;
        break;  // half a header
      case 1:
        chain.head.addr = kNowhere;
        break;  // not in the guest's memory
      case 2:
        chain.header.len = 0xffff'ffff;
        break;  // more payload than the chain has
      case 3:
        chain.head.flags = VRING_DESC_F_WRITE;
        break;  // for the device to write
      case 4:
        chain.head = {0, 17, kIndirect, 0};
        break;  // a table that ends in an entry
      case 5:
        chain.head = {0, 32, kIndirect, 0}, chain.table[1].addr = kNowhere;
        break;
      case 6:
        chain.head = {0, 32, kIndirect, 0}, chain.table[0].next = 0;
        break;  // a loop
    }
    return chain;
  }

  const LoadOptions& options_;
  std::unique_ptr<BenchGuest> guest_;
  Connection* stream_ = nullptr;
  BenchClock::time_point tried_;
  BenchClock::time_point moved_;
  uint32_t turn_ = 0;
  uint64_t reattached_ = 0;
};

// A guest that promises all the room there can be and gives none, and an accomplice that sends to it.
class Hoard {
 public:
  Hoard(const LoadOptions& options, bool posts_buffers)
      : sender_((Need(options, 2), options.sockets[1]), options.guest),
        receiver_(options.sockets[0], Boundless(options)) {
    constexpr uint32_t kFlows = 64;
    receiver_.Listen(kPort, [](Connection&) {});
    const std::vector<Connection*> flows = OpenConnections(sender_, receiver_, kPort, kFlows);
    receiver_.set_posts_buffers(posts_buffers);
    for (Connection* flow : flows) sender_.Send(*flow, kEndless, options.write_bytes);
  }

  uint64_t Strike() {
    sender_.Poll();
    receiver_.Poll();
    return 1;
  }

 private:
  static BenchGuestOptions Boundless(const LoadOptions& options) {
    BenchGuestOptions boundless = options.guest;
    boundless.window = 0xffff'ffff;
    boundless.reads = false;
    return boundless;
  }

  BenchGuest sender_;
  BenchGuest receiver_;
};

struct Attack {
  const char* name;
  uint64_t (Attacker::*strike)();  // null: a Hoard
  bool posts_buffers = true;
};

constexpr Attack kAttacks[] = {
    {"no-buffers", nullptr, false},
    {"never-reads", nullptr, true},
    {"credit-requests", &Attacker::CreditRequests},
    {"closed-port", &Attacker::ClosedPort},
    {"kicks", &Attacker::Kicks},
    {"empty-packets", &Attacker::EmptyPackets},
    {"resets", &Attacker::Resets},
    {"spoofed-sources", &Attacker::SpoofedSources},
    {"malformed-chains", &Attacker::MalformedChains},
    {"front-end", &Attacker::FrontEnd},
};

// Strikes until told to stop, and watches what it costs.
template <typename Strike>
Figures Run(const LoadOptions& options, Strike strike) {
  constexpr std::chrono::milliseconds kLook{20};
  Begin();
  const uint64_t before = OwnMemoryBytes(options.backend);
  uint64_t peak = before;
  uint64_t operations = 0;
  BenchClock::time_point look = BenchClock::now();
  Stretch stretch(options.backend);
  while (stop_asked == 0) {
    operations += strike();
    if (BenchClock::now() < look) continue;
    look = BenchClock::now() + kLook;
    peak = std::max(peak, OwnMemoryBytes(options.backend));
  }
  stretch.Stop();
  return {{"strikes_per_s", static_cast<double>(operations) / stretch.wall()},
          {"attacker_cpu_percent", 100 * stretch.own_cpu() / stretch.wall()},
          {"backend_cpu_percent", 100 * stretch.cpu() / stretch.wall()},
          {"grown_mib", static_cast<double>(peak - before) / (1 << 20)}};
}

}  // namespace

std::string AttackNames() {
  std::string names;
  for (const Attack& attack : kAttacks) absl::StrAppend(&names, names.empty() ? "" : ", ", attack.name);
  return names;
}

Figures MeasureAttack(const LoadOptions& options) {
  Need(options, 1);
  for (const Attack& attack : kAttacks) {
    if (options.attack != attack.name) continue;
    if (attack.strike == nullptr) {
      Hoard hoard(options, attack.posts_buffers);
      return Run(options, [&hoard] { return hoard.Strike(); });
    }
    Attacker attacker(options);
    Figures figures = Run(options, [&] { return (attacker.*attack.strike)(); });
    figures.push_back({"reattached", static_cast<double>(attacker.reattached())});
    return figures;
  }
  Fail(absl::StrCat("--attack is one of ", AttackNames()));
}

Figures MeasureBurn(const LoadOptions& options) {
  Begin();
  const BenchClock::time_point begin = BenchClock::now();
  const double cpu = OwnCpuSeconds();
  while (stop_asked == 0) {
    const double due = Seconds(BenchClock::now() - begin) * options.percent / 100;
    if (OwnCpuSeconds() - cpu > due) poll(nullptr, 0, 1);
  }
  return {{"attacker_cpu_percent", 100 * (OwnCpuSeconds() - cpu) / Seconds(BenchClock::now() - begin)}};
}

}  // namespace kinsock::bench
