// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_CLI_FLAGS_NUMBER_RANGE_H_
#define KINSOCK_CLI_FLAGS_NUMBER_RANGE_H_

#include <cstdint>
#include <string>

namespace kinsock {

// Ports or CIDs as they are written on a command line: "80" or "1-1023". False: `text` is neither. Whether such a range
// makes sense, the daemon says.
bool ParseRange(const std::string& text, uint32_t& first, uint32_t& last);

// The other way round.
std::string RangeText(uint32_t first, uint32_t last);

}  // namespace kinsock

#endif  // KINSOCK_CLI_FLAGS_NUMBER_RANGE_H_
