// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_CONVERT_PAGE_FILLING_H_
#define KINSOCK_SERVER_CONVERT_PAGE_FILLING_H_

#include <cstddef>
#include <string>

#include "server/model/resource_version.h"

namespace kinsock {

// gRPC clients refuse messages above 4 MiB; a policy has at most some 20 KiB.
inline constexpr size_t kMaxPageBytes = 3u << 20;

// Adds what fits of `items`, of which there may be one too many, and says where the next page begins. `add` makes the
// message of an item: its size, and what puts it into the page; `after` names the item. Names, not versions: what is
// made or taken away meanwhile may be in a page or not.
template <typename Items, typename Add, typename After>
std::string FillPage(const Items& items, size_t size, Add add, After after) {
  size_t listed = 0, bytes = 0;
  PageToken token;
  for (const auto& item : items) {
    auto message = add(item);
    bytes += message.first;
    if (listed == size || (listed > 0 && bytes > kMaxPageBytes)) return token.ToString();
    message.second();
    ++listed;
    token = PageToken{{"0", 1}, after(item)};
  }
  return "";
}

}  // namespace kinsock

#endif  // KINSOCK_SERVER_CONVERT_PAGE_FILLING_H_
