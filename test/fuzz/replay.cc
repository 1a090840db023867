// Replays files through a libFuzzer target where there is no clang. Usage: replay FILE...
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>
#include <memory>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

int main(int count, char** files) {
  for (int index = 1; index < count; index++) {
    std::ifstream file(files[index], std::ios::binary);
    const std::vector<char> bytes{std::istreambuf_iterator<char>(file), {}};
    if (!file.is_open()) return std::fprintf(stderr, "%s cannot be read\n", files[index]), 2;
    // A block of exactly the input's size, so that a read past it is found. The name is the last line before a report.
    const std::unique_ptr<uint8_t[]> exact(new uint8_t[bytes.size()]);
    if (!bytes.empty()) std::memcpy(exact.get(), bytes.data(), bytes.size());
    std::fprintf(stderr, "%s\n", files[index]);
    LLVMFuzzerTestOneInput(exact.get(), bytes.size());
  }
  std::printf("%d inputs\n", count - 1);
  return 0;
}
