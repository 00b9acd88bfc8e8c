// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_TESTS_SUPPORT_PROBE_WATCH_H_
#define KINSOCK_TESTS_SUPPORT_PROBE_WATCH_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace kinsock::testing {

// Sees the static probes of this very program fire, as a tracer in the kernel would: it reads where they are and what
// their arguments are from the notes of the executable, and puts a breakpoint over each nop. One at a time; amd64 only.
//
// Made and destroyed by one thread; probes may fire on any.
class ProbeWatch {
 public:
  static constexpr size_t kMaxArguments = 12;

  struct Firing {
    std::array<uint64_t, kMaxArguments> arguments{};

    std::string Text(size_t argument) const {  // of one that is a pointer to static storage
      return reinterpret_cast<const char*>(arguments[argument]);
    }
  };

  ProbeWatch();
  ~ProbeWatch();
  ProbeWatch(const ProbeWatch&) = delete;
  ProbeWatch& operator=(const ProbeWatch&) = delete;

  // What `probe` of provider "kinsock" has said so far, oldest first.
  std::vector<Firing> Of(const std::string& probe) const;
};

}  // namespace kinsock::testing

#endif  // KINSOCK_TESTS_SUPPORT_PROBE_WATCH_H_
