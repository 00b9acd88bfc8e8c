// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_API_METRICS_H_
#define KINSOCK_SERVER_API_METRICS_H_

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

namespace kinsock {

// Counts the calls of the API by method and result. The methods of kinsock.v1 are told apart, all others are one: a
// client cannot make numbers grow in number.
//
// Any thread. Outlives the gRPC server, and its interceptors.
class ApiMetrics {
 public:
  // Upper bounds of the classes in which the time of calls is counted, seconds; one more is for those beyond. Calls
  // that have one answer only: a watch lasts as long as its client likes.
  static constexpr std::array<double, 8> kBounds{0.001, 0.005, 0.025, 0.1, 0.5, 1, 5, 30};
  static constexpr size_t kCodes = 17;  // grpc::StatusCode, OK to UNAUTHENTICATED

  struct Method {
    std::string service;
    std::string name;
    bool is_unary = true;
    std::atomic<uint64_t> started{0};
    std::array<std::atomic<uint64_t>, kCodes> handled{};
    std::array<std::atomic<uint64_t>, kBounds.size() + 1> times{};
    std::atomic<int64_t> nanoseconds{0};
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

#endif  // KINSOCK_SERVER_API_METRICS_H_
