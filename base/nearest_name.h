// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_BASE_NEAREST_NAME_H_
#define KINSOCK_BASE_NEAREST_NAME_H_

#include <string_view>
#include <vector>

namespace kinsock {

// The one of `known` that `wrong` was probably meant to be, which it is two slips away from at most; empty if none is
// near.
std::string_view NearestName(std::string_view wrong, const std::vector<std::string_view>& known);

}  // namespace kinsock

#endif  // KINSOCK_BASE_NEAREST_NAME_H_
