// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_TESTS_SUPPORT_HYBRID_CLIENT_H_
#define KINSOCK_TESTS_SUPPORT_HYBRID_CLIENT_H_

#include <sys/socket.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/unique_fd.h"
#include "tests/support/stage.h"
#include "tests/support/traffic.h"

namespace kinsock::testing {

// A host program with one connection to a VM's hybrid socket, or accepted from a HybridListener. Calls only state
// what is wanted; it happens on the stage. One thread.
class HybridClient final : public Actor {
 public:
  // Connects to `path` at once. `stage` outlives the client.
  HybridClient(Stage& stage, const std::string& path);
  // Takes over a connected socket.
  HybridClient(Stage& stage, UniqueFd socket);
  ~HybridClient();
  HybridClient(const HybridClient&) = delete;
  HybridClient& operator=(const HybridClient&) = delete;

  // "CONNECT <port>\n"; what follows the answer is the stream.
  void Connect(uint32_t port);
  // The port of "OK <port>\n", once it has come.
  std::optional<uint32_t> ok_port() const { return ok_port_; }

  void Send(std::string_view text) { outgoing_.Append(text); }
  void SendPattern(uint32_t seed, uint64_t bytes) { outgoing_.AppendPattern(seed, bytes); }
  void ExpectPattern(uint32_t seed) { incoming_.ExpectPattern(seed); }
  void ShutdownSend() { send_closing_ = true; }
  void Close();
  // Ends at once, what was not sent is lost; the other end may see ECONNRESET.
  void Abort();
  void PauseReading() { reading_ = false; }
  void ResumeReading() { reading_ = true; }

  // What came, without the OK line.
  const std::string& Received() const { return incoming_.text(); }
  uint64_t received_bytes() const { return incoming_.size(); }
  std::string Verdict(uint64_t expected_bytes) const { return incoming_.Verdict(expected_bytes); }
  bool all_sent() const { return outgoing_.empty(); }
  // The other end will send no more, or is gone.
  bool at_eof() const { return eof_; }
  // It is gone: nothing can be sent.
  bool broken() const { return broken_; }

  bool Poll() override;
  void AppendAwaited(std::vector<pollfd>& fds) const override;
  std::string Describe() const override;

 private:
  bool Write();
  bool Read();
  void TakeIn(std::string_view bytes);

  Stage& stage_;
  UniqueFd socket_;
  bool awaiting_ok_ = false;
  std::string line_;
  std::optional<uint32_t> ok_port_;
  Outgoing outgoing_;
  Incoming incoming_;
  bool reading_ = true;
  bool send_closing_ = false;
  bool send_closed_ = false;
  bool eof_ = false;
  bool broken_ = false;
};

// A host program that listens where guests connect to: "<uds path>_<port>". One thread.
class HybridListener {
 public:
  HybridListener(const std::string& uds_path, uint32_t port, int backlog = 64, int type = SOCK_STREAM);

  // The next connection, if one is there.
  std::optional<UniqueFd> TryAccept();
  const std::string& path() const { return path_; }

 private:
  std::string path_;
  UniqueFd socket_;
};

}  // namespace kinsock::testing

#endif  // KINSOCK_TESTS_SUPPORT_HYBRID_CLIENT_H_
