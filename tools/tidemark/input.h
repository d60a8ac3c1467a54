#pragma once

#include <string>

#include "storage/base/bytes.h"
#include "storage/base/result.h"
#include "tools/tidemark/interrupts.h"

namespace tidemark::tools {

/// A file or, for "-", standard input, read block by block. A wait for input ends with `cancelled` at Ctrl-C.
class Input {
 public:
  static Result<Input> open(const std::string& path, const Interrupts& interrupts);
  Input(Input&& other) noexcept;
  Input& operator=(Input&& other) noexcept;
  ~Input();

  /// Some bytes, as soon as there are any; 0 at the end. Errors: io_error, cancelled.
  Result<std::size_t> read(MutableBytes into);
  bool is_terminal() const;

 private:
  Input(int descriptor, bool owned, std::string name, const Interrupts& interrupts)
      : descriptor_(descriptor), owned_(owned), name_(std::move(name)), interrupts_(&interrupts) {}

  int descriptor_ = -1;
  bool owned_ = false;
  std::string name_;
  const Interrupts* interrupts_;
};

}  // namespace tidemark::tools
