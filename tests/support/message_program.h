// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_TESTS_SUPPORT_MESSAGE_PROGRAM_H_
#define KINSOCK_TESTS_SUPPORT_MESSAGE_PROGRAM_H_

#include <deque>
#include <string>
#include <utility>
#include <vector>

#include "base/unique_fd.h"
#include "tests/support/stage.h"

namespace kinsock::testing {

// A host program with a connection of type SOCK_SEQPACKET. Calls only state what is wanted; it happens on the stage.
// One thread.
class MessageProgram final : public Actor {
 public:
  // Takes over a connected, non-blocking socket. `stage` outlives the program.
  MessageProgram(Stage& stage, UniqueFd socket);
  ~MessageProgram();
  MessageProgram(const MessageProgram&) = delete;
  MessageProgram& operator=(const MessageProgram&) = delete;

  void SendMessage(std::string message) { outgoing_.push_back(std::move(message)); }
  void ShutdownSend() { send_closing_ = true; }
  void Close() { socket_.reset(); }
  void PauseReading() { reading_ = false; }
  void ResumeReading() { reading_ = true; }
  int fd() const { return socket_.get(); }

  // What came. A program cannot tell an empty message from end of file unless it asks for time stamps; this one does.
  const std::vector<std::string>& Messages() const { return messages_; }
  bool all_sent() const { return outgoing_.empty(); }
  bool at_eof() const { return eof_; }
  bool broken() const { return broken_; }  // it was reset, or cannot send any more

  bool Poll() override;
  void AppendAwaited(std::vector<pollfd>& fds) const override;
  std::string Describe() const override;

 private:
  bool Write();
  bool Read();

  Stage& stage_;
  UniqueFd socket_;
  std::deque<std::string> outgoing_;
  std::vector<std::string> messages_;
  bool reading_ = true;
  bool send_closing_ = false;
  bool eof_ = false;
  bool broken_ = false;
};

}  // namespace kinsock::testing

#endif  // KINSOCK_TESTS_SUPPORT_MESSAGE_PROGRAM_H_
