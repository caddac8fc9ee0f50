// client.js: the two pages that need a script: the live ticker and the upload.

const ticker = document.getElementById('ticker');
if (ticker !== null) {
  const connect = () => {
    const socket = new WebSocket(`${location.origin.replace(/^http/, 'ws')}/ws?ticker`);
    socket.onmessage = (event) => { ticker.textContent = event.data; };
    socket.onclose = () => {
      ticker.textContent = 'closed; connecting again …';
      setTimeout(connect, 1000);
    };
  };
  connect();
}

const form = document.getElementById('upload');
if (form !== null) {
  const result = document.getElementById('upload-result');
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    result.textContent = 'sending …';
    try {
      const reply = await fetch('/upload', { method: 'POST', body: form.elements.file.files[0] });
      result.textContent = `${reply.status}\n${await reply.text()}`;
    } catch (error) {
      result.textContent = `The upload was refused: ${error.message}`;
    }
  });
}
