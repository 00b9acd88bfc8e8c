// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_DEVICE_GUEST_NOTICE_H_
#define KINSOCK_DEVICE_GUEST_NOTICE_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"

namespace kinsock {

// What a guest has said of itself in the words of sd_notify(3): lines of NAME=VALUE. systemd in a guest sends them to
// its credential vmm.notify_socket (systemd.system-credentials(7)); any program may. Names that are not known here are
// passed over. Thread: the device's reactor. Text in, text out.
class GuestNotice {
 public:
  // What is kept of a value; what is beyond is cut off.
  static constexpr size_t kMaxValueBytes = 96;
  // Of Describe(), which goes into the status of the VM and from there to every watch.
  static constexpr size_t kMaxTextBytes = 512;

  enum class Word : uint8_t { kNone, kReady, kStopping };

  // A line, without its end. Whether it said anything new.
  bool Take(absl::string_view line);
  void Clear() { *this = {}; }

  // The last of READY=1 and STOPPING=1.
  Word word() const { return word_; }
  // The rest of what it said last, for a person: printable ASCII, whatever the guest sends. Empty: nothing.
  std::string Describe() const;

 private:
  static constexpr size_t kNames = 6;

  Word word_ = Word::kNone;
  std::array<std::string, kNames> values_;  // printable
};

}  // namespace kinsock

#endif  // KINSOCK_DEVICE_GUEST_NOTICE_H_
