// SPDX-License-Identifier: Apache-2.0
#include "router/port.h"

#include "base/event_loop.h"

namespace kinsock {

void Port::NoteLimited() {
  if (limited_ != nullptr) limited_->Notify();
}

}  // namespace kinsock
