// SPDX-License-Identifier: Apache-2.0
// Border: a front-end's messages. The input is a script of messages, each with a header, a payload and a choice of
// descriptors; a session takes them while a device that remembers only what runs checks the order of events.

#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <optional>
#include <utility>

#include "base/event_loop.h"
#include "device/guest_fault.h"
#include "device/vhost_user_session.h"
#include "device/virtqueue.h"

namespace kinsock {
namespace {

// Starts what a real device would start, and aborts on what must not happen.
class CheckingDevice final : public VhostUserDevice {
 public:
  ~CheckingDevice() = default;
  absl::Status StartRing(size_t index, const RingSetup& setup, uint64_t,
                         std::shared_ptr<const GuestMemory> memory) override {
    if (running_.at(index) || memory == nullptr || !setup.kick.valid()) abort();
    auto queue = Virtqueue::Create(setup.layout, std::move(memory));
    if (!queue.ok()) return queue.status();
    running_[index] = true;
    return absl::OkStatus();
  }
  uint16_t StopRing(size_t index) override {
    if (!running_.at(index)) abort();
    running_[index] = false;
    return 7;
  }
  void SetCall(size_t index, std::shared_ptr<VmmEventFd>) override {
    if (!running_.at(index)) abort();
  }
  absl::Status MoveMemory(std::shared_ptr<const GuestMemory>) override { return absl::OkStatus(); }
  void ResetDevice() override {}
  void Discard(std::shared_ptr<const GuestMemory>) override {}
  void OnSessionChanged() override {}
  void OnCidRead() override {}
  void OnCidTold() override {}
  bool OnMessage(const absl::Status&) override { return true; }

 private:
  std::array<bool, VhostUserSession::kRings> running_{};
};

// Takes pieces off the input; zeroes when it is used up.
class Input {
 public:
  Input(const uint8_t* data, size_t size) : data_(data), size_(size) {}
  bool empty() const { return size_ == 0; }
  template <typename T>
  T Take() {
    T value{};
    const size_t n = size_ < sizeof(T) ? size_ : sizeof(T);
    std::memcpy(&value, data_, n);
    data_ += n;
    size_ -= n;
    return value;
  }

 private:
  const uint8_t* data_;
  size_t size_;
};

int MakeFd(uint8_t kind) {
  if (kind % 3 == 0) return eventfd(0, EFD_CLOEXEC);
  const int fd = memfd_create("fuzz", MFD_CLOEXEC);
  if (ftruncate(fd, kind % 3 == 1 ? 1 << 16 : 100) != 0) abort();
  return fd;
}

void Send(int socket, Input& input) {
  struct {
    VhostUserHeader header;
    std::array<uint8_t, 600> payload;
  } message;
  const auto shape = input.Take<uint8_t>();
  message.header.request = input.Take<uint8_t>() % 48;
  message.header.flags = (shape & 1) ? input.Take<uint32_t>() : (shape & 2 ? 1u : 9u);
  message.header.size = (shape & 4) ? input.Take<uint16_t>() : input.Take<uint8_t>();
  const size_t bytes = message.header.size < message.payload.size() ? message.header.size : message.payload.size();
  for (size_t i = 0; i < bytes; ++i) message.payload[i] = input.Take<uint8_t>();

  const size_t count = (shape >> 4) % 10;
  std::array<int, 10> fds;
  for (size_t i = 0; i < count; ++i) fds[i] = MakeFd(input.Take<uint8_t>());
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(fds))] = {};
  iovec piece{&message, sizeof(message.header) + bytes};
  msghdr frame{};
  frame.msg_iov = &piece;
  frame.msg_iovlen = 1;
  if (count > 0) {
    frame.msg_control = control;
    frame.msg_controllen = CMSG_SPACE(sizeof(int) * count);
    cmsghdr* part = CMSG_FIRSTHDR(&frame);
    part->cmsg_level = SOL_SOCKET;
    part->cmsg_type = SCM_RIGHTS;
    part->cmsg_len = CMSG_LEN(sizeof(int) * count);
    std::memcpy(CMSG_DATA(part), fds.data(), sizeof(int) * count);
  }
  (void)!sendmsg(socket, &frame, MSG_NOSIGNAL | MSG_DONTWAIT);
  for (size_t i = 0; i < count; ++i) close(fds[i]);
}

void DropReplies(int socket) {
  char replies[4096];
  while (recv(socket, replies, sizeof(replies), MSG_DONTWAIT) > 0) {
  }
}

// The descriptors of the process: none may be left behind.
int LowestFreeFd() {
  const int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
  close(fd);
  return fd;
}

}  // namespace
}  // namespace kinsock

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace kinsock;
  GuestFaultGuard::Install();
  const int free_before = LowestFreeFd();
  {
    EventLoop loop;
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) != 0) abort();
    const UniqueFd front_end(ends[0]);
    CheckingDevice device;
    bool ended = false;
    auto session = std::make_unique<VhostUserSession>(
        loop, VhostUserChannel(UniqueFd(ends[1])),
        VhostUserSession::Options{.max_ring_size = 1024, .guest_cid = 3, .offer_mem_slots = size % 2 == 0}, device,
        [&](absl::Status) { ended = true; });
    if (!session->Start().ok()) abort();
    Input input(data, size);
    while (!input.empty() && !ended) {
      Send(front_end.get(), input);
      loop.RunOnce();
      DropReplies(front_end.get());
    }
    session.reset();
  }
  if (LowestFreeFd() != free_before) abort();
  return 0;
}
