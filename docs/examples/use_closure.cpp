// Call an exported closure from C++ with libtorch alone.
//
//     use_closure closure.pt fields.bin pi.bin members ny nx
//
// fields.bin holds ψ̄ and ω̄ of each member, float32, shape (members, 2, ny, nx), x fastest; pi.bin
// gets Π, shape (members, 1, ny, nx), to add to the right-hand side of ∂ω̄/∂t = ….

#include <torch/script.h>

#include <cstdlib>
#include <fstream>
#include <iostream>
#include <vector>

int main(int argc, char** argv) {
  if (argc != 7) {
    std::cerr << "usage: use_closure closure.pt fields.bin pi.bin members ny nx\n";
    return 2;
  }
  const long members = std::atol(argv[4]), ny = std::atol(argv[5]), nx = std::atol(argv[6]);

  torch::NoGradGuard no_gradients;
  torch::jit::Module closure = torch::jit::load(argv[1]);  // once, before the first time step

  std::vector<float> fields(members * 2 * ny * nx);
  std::ifstream source(argv[2], std::ios::binary);
  if (!source.read(reinterpret_cast<char*>(fields.data()), fields.size() * sizeof(float))) {
    std::cerr << argv[2] << ": expected " << fields.size() << " float32 values\n";
    return 1;
  }

  // The tensor is a view of the host's own array; nothing is copied.
  const torch::Tensor inputs = torch::from_blob(fields.data(), {members, 2, ny, nx}, torch::kFloat32);
  const torch::Tensor pi = closure.forward({inputs}).toTensor().contiguous();

  std::ofstream target(argv[3], std::ios::binary);
  target.write(reinterpret_cast<const char*>(pi.data_ptr<float>()), pi.numel() * sizeof(float));
  return target ? 0 : 1;
}
