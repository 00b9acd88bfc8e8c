// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_BASE_VERSION_H_
#define KINSOCK_BASE_VERSION_H_

namespace kinsock {

// Of kinsockd and kinsockctl; the newest heading of CHANGELOG.md.
inline constexpr char kVersion[] = "0.1.0";

}  // namespace kinsock

#endif  // KINSOCK_BASE_VERSION_H_
