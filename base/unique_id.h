// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_BASE_UNIQUE_ID_H_
#define KINSOCK_BASE_UNIQUE_ID_H_

#include <string>

namespace kinsock {

// A random UUID (version 4) in its usual spelling. Any thread.
std::string RandomUuid();

// Eight random hexadecimal digits: enough to tell one start of the daemon from the last. Any thread.
std::string RandomEpoch();

}  // namespace kinsock

#endif  // KINSOCK_BASE_UNIQUE_ID_H_
