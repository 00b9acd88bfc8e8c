// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_TESTS_SUPPORT_SANITIZERS_H_
#define KINSOCK_TESTS_SUPPORT_SANITIZERS_H_

namespace kinsock::testing {

// What this build runs under. Both keep memory that the program has given back, ThreadSanitizer also maps some for
// every new address: there, how much a process has says nothing of the program.
#if __has_feature(thread_sanitizer)
inline constexpr bool kThreadSanitizer = true;
#else
inline constexpr bool kThreadSanitizer = false;
#endif
#if __has_feature(address_sanitizer)
inline constexpr bool kAddressSanitizer = true;
#else
inline constexpr bool kAddressSanitizer = false;
#endif
inline constexpr bool kSanitized = kThreadSanitizer || kAddressSanitizer;

}  // namespace kinsock::testing

#endif  // KINSOCK_TESTS_SUPPORT_SANITIZERS_H_
