// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_RPC_API_METRICS_H_
#define KINSOCK_SERVER_RPC_API_METRICS_H_

#include <grpcpp/support/server_interceptor.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/counter.h"
#include "base/duration_histogram.h"

namespace kinsock {

// Counts the calls of the API by method and result. The methods of kinsock.v1 are told apart, all others are one: a
// client cannot make numbers grow in number.
//
// Any thread. Outlives the gRPC server, and its interceptors.
class ApiMetrics {
 public:
  // Upper bounds of the classes in which the time of calls is counted. Calls that have one answer only: a watch lasts
  // as long as its client likes.
  static constexpr std::array<std::chrono::nanoseconds, 8> kTimes{
      std::chrono::milliseconds(1),   std::chrono::milliseconds(5),   std::chrono::milliseconds(25),
      std::chrono::milliseconds(100), std::chrono::milliseconds(500), std::chrono::seconds(1),
      std::chrono::seconds(5),        std::chrono::seconds(30)};
  static constexpr size_t kCodes = 17;  // grpc::StatusCode, OK to UNAUTHENTICATED

  struct Method {
    std::string service;
    std::string name;
    bool is_unary = true;
    std::atomic<uint64_t> started{0};
    std::array<std::atomic<uint64_t>, kCodes> handled{};
    DurationHistogram<SharedCounter, kTimes> times;
  };

  ApiMetrics();
  ApiMetrics(const ApiMetrics&) = delete;
  ApiMetrics& operator=(const ApiMetrics&) = delete;

  // For the server's builder.
  std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface> NewInterceptors();

  // In no order; they live as long as this.
  std::vector<const Method*> methods() const;

  // As Prometheus' other gRPC libraries spell it: "OK", "NotFound". Static storage.
  static const char* CodeName(size_t code);

 private:
  Method& Find(std::string_view path);

  std::map<std::string, std::unique_ptr<Method>, std::less<>> methods_;  // by path; never changes
  std::unique_ptr<Method> other_;
};

}  // namespace kinsock

#endif  // KINSOCK_SERVER_RPC_API_METRICS_H_
