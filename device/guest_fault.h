// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_DEVICE_GUEST_FAULT_H_
#define KINSOCK_DEVICE_GUEST_FAULT_H_

#include <atomic>
#include <cstddef>

namespace kinsock {

// A front-end may truncate the file behind guest memory that we have mapped; touching it then raises SIGBUS.
// A watched range turns that into a flag: the handler puts a page of zeroes where the fault was, sets the
// flag, and the code that was interrupted goes on. A fault anywhere else ends the process as before.
class GuestFaultGuard {
 public:
  // Installs the SIGBUS handler, the first time that it is called. Before the first Watch().
  static void Install();

  // Watches [begin, begin + size). `faulted` lives until Unwatch(). False when kMaxRanges are watched. Any
  // thread.
  static bool Watch(void* begin, size_t size, std::atomic<bool>& faulted);

  // Before the range is unmapped. Any thread.
  static void Unwatch(void* begin);

  // A thousand VMs with the two regions that QEMU uses, and room for front-ends that use eight. Beyond it a
  // region is refused, and with it the session.
  static constexpr size_t kMaxRanges = 16384;
};

}  // namespace kinsock

#endif  // KINSOCK_DEVICE_GUEST_FAULT_H_
