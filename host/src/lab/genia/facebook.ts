// GENIA's connector for Facebook: publishes a post on a page.

export const VERSION = "v1.4.2";

export async function publish(page: string, message: string, token: string): Promise<string> {
  const body = new URLSearchParams({ message, access_token: token });
  const response = await fetch(`https://graph.facebook.com/${page}/feed`, { method: "POST", body });
  if (!response.ok) {
    throw new Error(`Facebook answered ${response.status}`);
  }
  const { id } = await response.json();
  return id;
}
