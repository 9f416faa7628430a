// The simulated solver: it reasons, calls a tool, and answers with formulas, code and a table.

interface Message {
  readonly role: string;
  readonly content: string | null;
}
interface Simulation {
  readonly random: () => number;
}

export default function reply(
  { messages }: { readonly messages: readonly Message[] },
  { random }: Simulation,
) {
  const turns = messages.filter(({ role }) => role === "assistant").length;
  const wanted = random() < 0.5 ? 1 : 2;
  if (turns < wanted) {
    const expression = `${Math.floor(random() * 90) + 10} * ${Math.floor(random() * 9) + 1} ** 2`;
    return {
      role: "assistant",
      content: turns === 0 ? "First I work out the area of the square." : null,
      reasoning_content:
        "The user asks for a closed form. I should not guess: with $a_n = a_{n-1} + 2n$ the sum telescopes, so one call of the calculator is enough.",
      tool_calls: [
        {
          id: `call-${turns}`,
          type: "function",
          function: { name: "calculator", arguments: JSON.stringify({ expression, digits: 12 }) },
        },
      ],
    };
  }
  const answer = Math.floor(random() * 3);
  return ANSWERS[Math.floor(random() * ANSWERS.length)]?.(answer) ?? "";
}

const ANSWERS = [
  (answer: number) => `Let $f(x) = \\int_0^x e^{-t^2}\\,dt$. Expanding the integrand gives

$$
f(x) = \\sum_{n=0}^{\\infty} \\frac{(-1)^n x^{2n+1}}{n!\\,(2n+1)}, \\qquad
\\begin{pmatrix} a & b \\\\ c & d \\end{pmatrix}^{-1} = \\frac{1}{ad-bc}\\begin{pmatrix} d & -b \\\\ -c & a \\end{pmatrix}.
$$

1. The series converges for **every** $x \\in \\mathbb{R}$.
2. Its first terms are \\(x - \\tfrac{x^3}{3} + \\tfrac{x^5}{10}\\).

It costs $5 and not $10 to check. The answer is $\\boxed{${answer}}$.`,
  (answer: number) => `The quickest way is a program:

\`\`\`python
from functools import cache

@cache
def ways(n: int, largest: int = 6) -> int:
    """Counts partitions of n into parts of at most \`largest\`."""
    if n == 0:
        return 1
    return sum(ways(n - part, part) for part in range(1, min(n, largest) + 1))

print(ways(${answer + 10}))  # ${answer}
\`\`\`

| n | ways | growth |
| ---: | ---: | :--- |
| 10 | 35 | – |
| 20 | 282 | \`8.1×\` |
| 30 | 1206 | \`4.3×\` |

> Partitions with bounded parts are counted by a Gaussian binomial.

So the answer is ${answer}.`,
  (answer: number) => `Two cases:

- **n even**: pair $k$ with $n-k$, which leaves $\\lfloor n/2 \\rfloor$ pairs;
- **n odd**: the middle term stands alone.

See <https://oeis.org/A001400> for the sequence. \\begin{align} S &= \\sum_{k=1}^{n} k^2 \\\\ &= \\frac{n(n+1)(2n+1)}{6} \\end{align}

Therefore the answer is ${answer}.`,
];
