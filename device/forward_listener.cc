// SPDX-License-Identifier: Apache-2.0
#include "device/forward_listener.h"

#include <utility>

namespace kinsock {

ForwardListener::ForwardListener(EventLoop& loop, UniqueFd socket, uint32_t port, IsAttached is_attached,
                                 Connect connect)
    : listener_(loop, std::move(socket),
                [port, is_attached = std::move(is_attached), connect = std::move(connect)](UniqueFd program) {
                  if (is_attached()) connect(std::move(program), port);
                }) {}

}  // namespace kinsock
