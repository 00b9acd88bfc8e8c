// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_WEB_HTTP_STREAM_H_
#define KINSOCK_WEB_HTTP_STREAM_H_

#include <functional>
#include <optional>
#include <string>

namespace kinsock {

// A body that goes on. The server takes piece after piece of it, each when the client has taken the one before: who
// reads slowly costs no memory.
//
// Thread: the server's.
class HttpStream {
 public:
  virtual ~HttpStream() = default;

  // What comes next. Empty: nothing now; nothing: this was all.
  virtual std::optional<std::string> Next() = 0;

  // Called once. `wake` is to be called when there may be more, not from within Next(); it may destroy this.
  virtual void SetWake(std::function<void()> wake) = 0;
};

}  // namespace kinsock

#endif  // KINSOCK_WEB_HTTP_STREAM_H_
