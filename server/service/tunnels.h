// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_SERVICE_TUNNELS_H_
#define KINSOCK_SERVER_SERVICE_TUNNELS_H_

#include <grpcpp/support/server_callback.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <mutex>
#include <set>
#include <string>
#include <thread>

#include "absl/status/status.h"
#include "api/kinsock/v1/tunnel.pb.h"
#include "base/event_loop.h"
#include "server/manager/vm_manager.h"
#include "server/reactors/reactor_pool.h"
#include "server/rpc/access.h"
#include "server/rpc/audit.h"

namespace kinsock {

class TunnelStream;

// The tunnels that are open, and the one thread that carries bytes between gRPC and the sockets of which reactors have
// the other ends. It is started with the first tunnel. Neither main nor a reactor touches what tunnels carry.
class Tunnels {
 public:
  // Each has two descriptors, a frame each way and what the kernel and gRPC keep for a slow reader, some 600 KiB; for a
  // moment, until it is refused, a frame of gRPC's 4 MiB.
  // People and scripts have a few of them. Beyond: QUOTA_EXCEEDED.
  static constexpr size_t kMaxTunnels = 128;
  // A client knows where it wants to when it calls. Beyond: DEADLINE_EXCEEDED.
  static constexpr std::chrono::seconds kOpenTimeout{10};

  // All outlive the gRPC server, and main runs until it is shut down.
  struct Environment {
    EventLoop& main;
    VmManager& manager;
    ReactorPool& pool;
    const Access& access;
    Audit& audit;
    std::string instance;  // in names of connections
  };

  explicit Tunnels(Environment environment) : env_(std::move(environment)) {}
  // After the gRPC server and the reactors.
  ~Tunnels();
  Tunnels(const Tunnels&) = delete;
  Tunnels& operator=(const Tunnels&) = delete;

  // Serves a call. Any thread.
  grpc::ServerBidiReactor<v1::TunnelFrame, v1::TunnelFrame>* Start(const grpc::CallbackServerContext& context);

  // Ends all of them, and refuses new ones, with `reason`. Any thread.
  void Close(const absl::Status& reason);

  // Those that have begun and are not over. Any thread.
  size_t size() const { return open_.load(); }

  // --- For TunnelStream. ---

  const Environment& env() const { return env_; }
  // Where it lives.
  EventLoop& loop() { return loop_; }
  // On the thread of the loop: why it may not go on.
  absl::Status Enter(TunnelStream& stream);
  void Leave(TunnelStream& stream) { streams_.erase(&stream); }
  // Any thread: gRPC is through with one.
  void CountOut() { open_.fetch_sub(1); }

 private:
  const Environment env_;
  std::atomic<size_t> open_{0};
  std::once_flag started_;
  // The loop's.
  std::set<TunnelStream*> streams_;
  absl::Status closed_;

  EventLoop loop_;
  std::thread thread_;
};

}  // namespace kinsock

#endif  // KINSOCK_SERVER_SERVICE_TUNNELS_H_
